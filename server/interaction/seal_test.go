package interaction_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/session"
)

func newBrowser(iss *registry.Issuer) session.Browser {
	return session.Ensure(httptest.NewRecorder(), iss, session.Browser{})
}

func TestSealedRequestComesBack(t *testing.T) {
	seen := time.Now().UTC().Truncate(time.Millisecond)
	iss := registrytest.Issuer(t, "https://login.example/x", seen)
	b := newBrowser(iss)
	at := func(b session.Browser, now time.Time) interaction.Visitor {
		return interaction.Visitor{Issuer: iss, Browser: b, Now: now}
	}
	original := params("state", "a b&c=\"<é>\r\n", "resource", registrytest.Photos)
	req, err := interaction.Identify(iss, original, seen)
	if err != nil {
		t.Fatal(err)
	}
	req.Shown, req.Decision = "digest", interaction.Allow
	now := seen.Add(time.Minute)
	u, err := req.URL(interaction.Authorize, at(b, now))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, u, nil)
	if !interaction.Carried(r) {
		t.Errorf("%s carries no request", u)
	}
	got, err := interaction.Open(r, interaction.Authorize, at(b, now))
	if err != nil {
		t.Fatal(err)
	}
	if got.State != req.State || !got.Seen.Equal(seen) || got.Shown != "digest" || got.Decision != interaction.Allow || got.Client != req.Client {
		t.Errorf("%+v, want %+v", got, req)
	}
	if want := "https://login.example/x/authorize?" + original.Encode(); got.RestartURL(iss) != want {
		t.Errorf("restart at %s, want %s", got.RestartURL(iss), want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	for name, late := range map[string]time.Time{"expired": now.Add(2 * time.Minute), "long expired": now.Add(time.Hour)} {
		var stale *interaction.StaleError
		if _, err := interaction.Open(r, interaction.Authorize, at(b, late)); !errors.As(err, &stale) || stale.RestartURL == "" || oauth.AsError(err).Code != oauth.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := interaction.Open(r, interaction.Authorize, at(newBrowser(iss), now)); err == nil {
		t.Error("opened in another browser")
	}
	if _, err := interaction.Open(r, interaction.Authorize, at(session.Browser{}, now)); err == nil {
		t.Error("opened in a browser without a cookie")
	}
	for _, other := range []interaction.Step{interaction.Login, interaction.Consent, interaction.Approval} {
		if _, err := interaction.Open(r, other, at(b, now)); err == nil {
			t.Errorf("opened for the step %s", other)
		}
	}
	if _, err := req.URL(interaction.Login, at(session.Browser{}, now)); err == nil {
		t.Error("sealed for no browser at all")
	}
}

func TestSwitchUserAsksForAnotherAccount(t *testing.T) {
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	req, err := interaction.Identify(iss, params("prompt", "consent"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(req.SwitchUserURL(iss))
	if err != nil {
		t.Fatal(err)
	}
	if want := params("prompt", "select_account"); u.RawQuery != want.Encode() {
		t.Errorf("%s, want %s", u.RawQuery, want.Encode())
	}
	if again := req.RestartURL(iss); again == u.String() {
		t.Error("the request itself was changed")
	}
}
