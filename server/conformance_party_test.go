package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// The relying parties of the conformance tests.
const (
	partyID         = "demo.party"
	partySecret     = "party-secret-0123456789abcdefghijklm"
	partyRedirect   = "https://party.example/callback"
	partySignedOut  = "https://party.example/signed-out"
	otherPartyID    = "demo.other-party"
	partyState      = "what a client keeps in here comes back as it was, even if it is long and has ~!@#$%^&*()_+-=[]{}|;':,./<>? in it, as this state does"
	formContentType = "application/x-www-form-urlencoded"
)

// party is a relying party as OpenID Connect's conformance suite plays it: confidential, without PKCE, with every identity
// scope, refresh tokens and logout; and the browser of its user.
type party struct {
	*site
	browser *servertest.Browser
	// id is the client_id; its secret is partySecret.
	id string
}

// newParty starts a server that knows two such clients, and Alice with every standard claim.
func newParty(t *testing.T) *party {
	t.Helper()
	s := newSite(t)
	iss := s.Issuer("")
	for _, id := range []string{partyID, otherPartyID} {
		iss = registrytest.WithClient(iss, relyingParty(iss.Keys, id))
	}
	alice := registrytest.User(t, iss, registrytest.Alice)
	alice.Profile = registry.Profile{
		GivenName: "Alice", FamilyName: "Liddell", MiddleName: "Pleasance", Nickname: "Al",
		ProfileURL: "https://example.com/alice", PictureURL: "https://example.com/alice.png", Website: "https://alice.example.com",
		Gender: "female", Birthdate: "1852-05-04", Zoneinfo: "Europe/London", Locale: "en-GB",
		UpdatedAt: s.Clock.Now().Add(-time.Hour), PhoneNumber: "+441234567890",
		Address: registry.Address{Formatted: "1 High Street\nOxford", StreetAddress: "1 High Street", Locality: "Oxford", Region: "Oxfordshire", PostalCode: "OX1", Country: "GB"},
	}
	s.Publish(registrytest.WithUser(iss, alice))
	return &party{s, s.NewBrowser(), partyID}
}

func relyingParty(set *keys.Set, id string) *registry.Client {
	uid := "uid-" + id
	return &registry.Client{
		ID: id, UID: uid, Namespace: "demo", Name: strings.TrimPrefix(id, "demo."), DisplayName: "Relying Party",
		RedirectURIs: []registry.RedirectURI{registry.ParseRedirectURI(partyRedirect, false)},
		GrantTypes:   []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken},
		Scopes: []string{
			oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeAddress, oauth.ScopePhone, oauth.ScopeOfflineAccess,
		},
		Secrets:          []registry.Secret{{ID: "one", Digest: set.ClientDigest(uid, "one", time.Time{}, partySecret)}},
		IDTokenAlgorithm: keys.RS256, IDTokenClaimsRequested: true, RotateRefreshTokens: true, ProofKeyOptional: true,
		PostLogoutRedirectURIs: []registry.RedirectURI{registry.ParseRedirectURI(partySignedOut, false)},
	}
}

// as is another client in the same browser.
func (p *party) as(id string) *party { return &party{p.site, p.browser, id} }

// elsewhere is the same client in a new browser.
func (p *party) elsewhere() *party { return &party{p.site, p.NewBrowser(), p.id} }

// asks is the party's plainest authorization request, with some parameters changed or, where empty, left out.
func (p *party) asks(changes ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {p.id}, "redirect_uri": {partyRedirect}, "scope": {"openid"}, "state": {partyState}, "nonce": {"nonce-1"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		v.Del(changes[i])
		if changes[i+1] != "" {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

// sends opens the authorization endpoint and follows to what is shown, or to the response.
func (p *party) sends(changes ...string) *servertest.Page {
	p.t.Helper()
	return p.browser.Authorize("", p.asks(changes...))
}

// completes fills in the pages that are shown, as Alice who allows everything, and returns the response.
func (p *party) completes(page *servertest.Page) url.Values {
	p.t.Helper()
	if page.Attr("sign-in", "type") != "" {
		page = p.browser.SignIn(page, registrytest.Alice, registrytest.AlicePassword)
	}
	if page.Attr("allow", "type") != "" {
		page = p.browser.Decide(page, "allow")
	}
	return page.Response(p.t)
}

// gets asks for a code and expects one, whatever pages are in between.
func (p *party) gets(changes ...string) string {
	p.t.Helper()
	back := p.completes(p.sends(changes...))
	if back.Get("code") == "" || back.Get("state") != partyState || back.Get("iss") != p.URL {
		p.t.Fatalf("called back with %v", back)
	}
	return back.Get("code")
}

// posts sends a form, authenticated by client_secret_basic, to an endpoint.
func (p *party) posts(path string, form url.Values) reply {
	p.t.Helper()
	r := p.newRequest(http.MethodPost, p.URL+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", formContentType)
	r.SetBasicAuth(p.id, partySecret)
	return p.send(r)
}

// redeems exchanges a code and expects tokens.
func (p *party) redeems(code string) map[string]any {
	p.t.Helper()
	r := p.posts("/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {partyRedirect}})
	if r.StatusCode != http.StatusOK {
		p.t.Fatalf("token: %s %s", r.Status, r.body)
	}
	return object(p.t, r.body)
}

// signsIn walks the whole flow and returns the ID token with its claims.
func (p *party) signsIn(changes ...string) (raw string, claims map[string]any) {
	p.t.Helper()
	raw, _ = p.redeems(p.gets(changes...))["id_token"].(string)
	return raw, claimsOf(p.t, raw)
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return out
}

// claimsOf are the claims of a JWT. Its signature is what other tests are about.
func claimsOf(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", jwt)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return object(t, string(payload))
}

// formOf is the form of a page: where it goes and what is in it.
func formOf(t *testing.T, page *servertest.Page) (action string, fields url.Values) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page.Body))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *html.Node, name string) string {
		i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
		if i < 0 {
			return ""
		}
		return n.Attr[i].Val
	}
	fields = url.Values{}
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.ElementNode && n.Data == "form":
			action = attr(n, "action")
		case n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") != "":
			fields.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	if action == "" {
		t.Fatalf("%d %s: no form: %s", page.Status, page.URL, page.Body)
	}
	return action, fields
}
