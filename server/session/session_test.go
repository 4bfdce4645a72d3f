package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
)

// signIn signs Alice in and returns the live cookies of the response.
func signIn(t *testing.T, iss *registry.Issuer, now time.Time) []*http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	if _, err := session.SignIn(w, iss, registrytest.User(t, iss, registrytest.Alice), now); err != nil {
		t.Fatal(err)
	}
	var live []*http.Cookie
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			live = append(live, c)
		}
	}
	if len(live) != 1 {
		t.Fatalf("%d cookies", len(live))
	}
	return live
}

func load(t *testing.T, iss *registry.Issuer, now time.Time, cookies ...*http.Cookie) session.Browser {
	t.Helper()
	return loadAfter(t, memory.NewSignOuts(time.Now), iss, now, cookies...)
}

// loadAfter loads the cookies of a browser while sign-outs are known.
func loadAfter(t *testing.T, signOuts store.SignOuts, iss *registry.Issuer, now time.Time, cookies ...*http.Cookie) session.Browser {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	b, err := session.Loader{SignOuts: signOuts}.Load(r, iss, now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSessionLivesAsLongAsItsUser(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example", now)
	cookies := signIn(t, iss, now)
	alice := func(change func(*registry.User)) *registry.Issuer {
		u := registrytest.User(t, iss, registrytest.Alice)
		change(u)
		return registrytest.WithUser(iss, u)
	}
	shorter := *iss
	config := *iss.Config
	config.Lifetimes.Session = time.Hour
	shorter.Config = &config
	for _, tc := range []struct {
		name  string
		iss   *registry.Issuer
		after time.Duration
		want  bool
	}{
		{"at once", iss, 0, true},
		{"at the end", iss, 12*time.Hour - time.Second, true},
		{"after the end", iss, 12 * time.Hour, false},
		{"user deleted or disabled", registrytest.Without(iss, registrytest.Alice), 0, false},
		{"user created anew under the name", alice(func(u *registry.User) { u.UID = "uid-2" }), 0, false},
		{"password changed", alice(func(u *registry.User) { u.CredentialVersion = "2" }), 0, false},
		{"groups changed", alice(func(u *registry.User) { u.Groups = nil }), 0, true},
		{"lifetime shortened since", &shorter, time.Hour, false},
	} {
		b := load(t, tc.iss, now.Add(tc.after), cookies...)
		if got := b.Session != nil; got != tc.want {
			t.Errorf("%s: live %v, want %v", tc.name, got, tc.want)
		}
		if tc.want && (b.Session.User.Name != registrytest.Alice || !b.Session.AuthTime.Equal(now.Truncate(time.Millisecond))) {
			t.Errorf("%s: %+v", tc.name, b.Session)
		}
	}
}

// Row: cookie from one issuer at another → refused. Two issuers on one host get each other's cookies; and somebody may
// rename one, and the issuers may even share their keys.
func TestCookieOfOneIssuerAtAnother(t *testing.T) {
	now := time.Now()
	a := registrytest.Issuer(t, "https://login.example/a", now)
	b := registrytest.Issuer(t, "https://login.example/b", now)
	b.Keys = a.Keys
	ofA, ofB := signIn(t, a, now), signIn(t, b, now)
	if ofA[0].Name == ofB[0].Name {
		t.Error("two issuers use one cookie name")
	}
	if load(t, b, now, ofA...).Session != nil {
		t.Error("the cookie was accepted")
	}
	renamed := *ofA[0]
	renamed.Name = ofB[0].Name
	if load(t, b, now, &renamed).Session != nil {
		t.Error("the cookie was accepted under the other's name")
	}
	if load(t, b, now, ofB...).Session == nil {
		t.Error("its own cookie was refused")
	}
}

func TestForgedCookies(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example", now)
	good := signIn(t, iss, now)[0]
	for name, value := range map[string]string{
		"empty": "", "truncated": good.Value[:len(good.Value)-4], "not sealed": "alice", "huge": strings.Repeat("A", 9000),
		"changed": "AAAA" + good.Value[4:],
	} {
		c := *good
		c.Value = value
		if b := load(t, iss, now, &c); b.Session != nil || b.Binding() != "" {
			t.Errorf("%s: accepted", name)
		}
	}
	// A sealed value for another purpose, under the issuer's very keys.
	other, err := iss.Keys.Seal(iss.URL, "interaction/login", []byte(`{"usr":"alice","uid":"uid-alice","ver":"1","exp":99999999999999}`), now)
	if err != nil {
		t.Fatal(err)
	}
	c := *good
	c.Value = other
	if load(t, iss, now, &c).Session != nil {
		t.Error("a value sealed for another purpose was accepted")
	}
}

// Row: session fixation → new session at sign-in: a new sid, and the pre-session is gone.
func TestSignInReplacesEverything(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example", now)
	before := httptest.NewRecorder()
	anonymous := session.Ensure(before, iss, session.Browser{})
	planted := before.Result().Cookies()
	if len(planted) != 1 || load(t, iss, now, planted...).Binding() != anonymous.Binding() {
		t.Fatalf("pre-session: %v", planted)
	}
	one, two := load(t, iss, now, signIn(t, iss, now)...), load(t, iss, now, signIn(t, iss, now)...)
	if one.Session.ID == two.Session.ID || one.Binding() == two.Binding() {
		t.Error("two sign-ins have one sid")
	}
	if one.Binding() == anonymous.Binding() {
		t.Error("the binding from before sign-in is good after it")
	}
	w := httptest.NewRecorder()
	if _, err := session.SignIn(w, iss, registrytest.User(t, iss, registrytest.Alice), now); err != nil {
		t.Fatal(err)
	}
	cleared := false
	for _, c := range w.Result().Cookies() {
		cleared = cleared || c.Name == planted[0].Name && c.MaxAge < 0
	}
	if !cleared {
		t.Error("the pre-session cookie was not taken away")
	}
	if again := session.Ensure(httptest.NewRecorder(), iss, one); again.Binding() != one.Binding() {
		t.Error("Ensure replaced a session")
	}
	short := &http.Cookie{Name: planted[0].Name, Value: "x"}
	if load(t, iss, now, short).Binding() != "" {
		t.Error("a pre-session id that we never made was accepted")
	}
}

func TestCookieAttributes(t *testing.T) {
	now := time.Now()
	for issuer, secure := range map[string]bool{"https://login.example/x": true, "http://127.0.0.1:8080": false} {
		iss := registrytest.Issuer(t, issuer, now)
		for _, c := range signIn(t, iss, now) {
			if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
				t.Errorf("%s: %+v", issuer, c)
			}
			if strings.HasPrefix(c.Name, "__Host-") != secure {
				t.Errorf("%s: named %s", issuer, c.Name)
			}
			if strings.Contains(c.Value, registrytest.Alice) {
				t.Error("the cookie can be read")
			}
		}
	}
}

func TestSignOut(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example", now)
	signedIn := signIn(t, iss, now)
	w := httptest.NewRecorder()
	session.SignOut(w, iss)
	gone := map[string]bool{}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 || c.Value != "" || c.Path != "/" || !c.Secure || !c.HttpOnly {
			t.Errorf("%v does not end a cookie", c)
		}
		gone[c.Name] = true
	}
	if !gone[signedIn[0].Name] || len(gone) != 2 {
		t.Errorf("ended %v", gone)
	}
}

// A session is over at the end of its lifetime, of that of now if it has become shorter.
func TestSessionExpiresAt(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	iss := registrytest.Issuer(t, "https://login.example", now)
	cookies := signIn(t, iss, now)
	config := *iss.Config
	for lifetime, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, 12 * time.Hour: 12 * time.Hour, 24 * time.Hour: 12 * time.Hour} {
		config.Lifetimes.Session = lifetime
		changed := *iss
		changed.Config = &config
		if got := load(t, &changed, now, cookies...).Session.ExpiresAt; !got.Equal(now.Add(want)) {
			t.Errorf("lifetime %s: over at %s, want %s", lifetime, got, now.Add(want))
		}
	}
}

// A copy of the cookie is worth nothing once the user has signed out, of that session or everywhere; nor while that is not known.
func TestCookieAfterSigningOut(t *testing.T) {
	now := time.Now()
	iss := registrytest.Issuer(t, "https://login.example", now)
	cookies := signIn(t, iss, now)
	sid := load(t, iss, now, cookies...).Session.ID
	for name, tc := range map[string]struct {
		signOut store.SignOut
		live    bool
	}{
		"of the session":       {store.SignOut{AuthorizationServer: iss.Name, UserUID: registrytest.AliceUID, SessionID: sid}, false},
		"of another session":   {store.SignOut{AuthorizationServer: iss.Name, UserUID: registrytest.AliceUID, SessionID: "another"}, true},
		"everywhere":           {store.SignOut{AuthorizationServer: iss.Name, UserUID: registrytest.AliceUID}, false},
		"everywhere, just now": {store.SignOut{AuthorizationServer: iss.Name, UserUID: registrytest.AliceUID, At: now.Truncate(time.Millisecond)}, false},
		"everywhere, before":   {store.SignOut{AuthorizationServer: iss.Name, UserUID: registrytest.AliceUID, At: now.Add(-time.Second)}, true},
		"somebody else":        {store.SignOut{AuthorizationServer: iss.Name, UserUID: "another"}, true},
		"at another issuer":    {store.SignOut{AuthorizationServer: "another", UserUID: registrytest.AliceUID, SessionID: sid}, true},
	} {
		signOuts := memory.NewSignOuts(time.Now)
		o := tc.signOut
		if o.At.IsZero() {
			o.At = now.Add(time.Second)
		}
		o.ExpiresAt = now.Add(time.Hour)
		if err := signOuts.Record(t.Context(), &o); err != nil {
			t.Fatal(err)
		}
		if got := loadAfter(t, signOuts, iss, now.Add(time.Minute), cookies...).Session != nil; got != tc.live {
			t.Errorf("%s: live %t", name, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(cookies[0])
	_, err := session.Loader{SignOuts: unread{}}.Load(r, iss, now)
	if oauth.AsError(err).Code != oauth.TemporarilyUnavailable {
		t.Errorf("while it is not known: %v", err)
	}
}

// unread knows nothing yet.
type unread struct{ store.SignOuts }

var errUnread = errors.New("not read yet")

func (unread) Over(string, string) (bool, error) { return false, errUnread }
