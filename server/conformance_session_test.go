package server_test

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// same are the claims that two ID tokens of one session agree in.
func same(t *testing.T, first, second map[string]any) {
	t.Helper()
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid"} {
		if first[name] == nil {
			t.Errorf("no %s", name)
		} else if a, b := first[name], second[name]; a != b {
			t.Errorf("%s was %v and is %v", name, a, b)
		}
	}
}

// silently asks, expecting a code at once and no page in between, and returns the ID token's claims.
func (p *party) silently(changes ...string) map[string]any {
	p.t.Helper()
	page := p.sends(changes...)
	if page.Location() == "" {
		p.t.Fatalf("a page is shown: %d %s", page.Status, page.URL)
	}
	back := page.Response(p.t)
	if back.Get("code") == "" {
		p.t.Fatalf("called back with %v", back)
	}
	raw, _ := p.redeems(back.Get("code"))["id_token"].(string)
	return claimsOf(p.t, raw)
}

func (p *party) refuses(want string, changes ...string) {
	p.t.Helper()
	if back := p.sends(changes...).Response(p.t); back.Get("error") != want {
		p.t.Errorf("%v, not %s", back, want)
	}
}

// OpenID Connect Core section 3.1.2.1, prompt=none.
func TestPromptNone(t *testing.T) {
	p := newParty(t)
	p.refuses("login_required", "prompt", "none")
	_, first := p.signsIn()
	p.Clock.Advance(time.Minute)
	same(t, first, p.silently("prompt", "none"))
	p.elsewhere().refuses("login_required", "prompt", "none")
	p.as(otherPartyID).refuses("consent_required", "prompt", "none")
	p.refuses("consent_required", "prompt", "none", "scope", "openid email")
	p.refuses("invalid_request", "prompt", "none login")
}

// An ID token of ours says who is expected, even when it has expired (OpenID Connect Core section 3.1.2.1).
func TestIDTokenHint(t *testing.T) {
	p := newParty(t)
	hint, first := p.signsIn()
	same(t, first, p.silently("prompt", "none", "id_token_hint", hint))
	p.Clock.Advance(time.Hour)
	same(t, first, p.silently("prompt", "none", "id_token_hint", hint))

	other := p.elsewhere()
	page := other.browser.SignIn(other.sends(), registrytest.Bob, registrytest.BobPassword)
	other.browser.Decide(page, "allow")
	other.refuses("login_required", "prompt", "none", "id_token_hint", hint)
	p.refuses("invalid_request", "id_token_hint", hint[:len(hint)-8]+"AAAAAAAA")
}

func TestPromptLogin(t *testing.T) {
	p := newParty(t)
	_, first := p.signsIn()
	p.Clock.Advance(time.Second)
	page := p.sends("prompt", "login")
	if page.Attr("sign-in", "type") == "" {
		t.Fatalf("no sign-in page: %d %s", page.Status, page.Location())
	}
	raw, _ := p.redeems(p.completes(page).Get("code"))["id_token"].(string)
	second := claimsOf(t, raw)
	if second["auth_time"].(float64) <= first["auth_time"].(float64) {
		t.Errorf("auth_time was %v and is %v", first["auth_time"], second["auth_time"])
	}
}

func TestPromptConsent(t *testing.T) {
	p := newParty(t)
	p.signsIn()
	if page := p.sends("prompt", "consent"); page.Attr("allow", "type") == "" {
		t.Errorf("no consent page: %d %s", page.Status, page.Location())
	}
}

func TestMaxAge(t *testing.T) {
	p := newParty(t)
	_, first := p.signsIn("max_age", "15000")
	p.Clock.Advance(2 * time.Second)
	same(t, first, p.silently("max_age", "10000"))
	p.refuses("login_required", "max_age", "1", "prompt", "none")
	page := p.sends("max_age", "1")
	if page.Attr("sign-in", "type") == "" {
		t.Fatalf("no sign-in page: %d %s", page.Status, page.Location())
	}
	raw, _ := p.redeems(p.completes(page).Get("code"))["id_token"].(string)
	if got, want := claimsOf(t, raw)["auth_time"], float64(p.Clock.Now().Unix()); got != want {
		t.Errorf("auth_time %v, not %v", got, want)
	}
}

// What is asked for among acr_values_supported is what is told (OpenID Connect Core section 3.1.2.1).
func TestAcrValues(t *testing.T) {
	p := newParty(t)
	values, _ := p.metadata()["acr_values_supported"].([]any)
	if len(values) == 0 {
		t.Fatal("no acr_values_supported")
	}
	if _, claims := p.signsIn("acr_values", values[0].(string)); claims["acr"] != values[0] {
		t.Errorf("acr %v", claims["acr"])
	}
}

func TestLoginHintIsFilledIn(t *testing.T) {
	p := newParty(t)
	if page := p.sends("login_hint", "alice"); page.Attr("username", "value") != "alice" {
		t.Errorf("username is %q", page.Attr("username", "value"))
	}
}
