package authorize

import (
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/ui"
)

func TestNext(t *testing.T) {
	seen := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	read := &registry.Scope{Name: "read"}
	write := &registry.Scope{Name: "write", RequiredGroups: []string{"writers"}}
	target := func(scopes ...*registry.Scope) *registry.Ask {
		return &registry.Ask{Targets: []registry.Target{{Resource: &registry.Resource{UID: "r"}, Scopes: scopes}}}
	}
	signedIn := func(age time.Duration, groups ...string) *session.Session {
		return &session.Session{ID: "sid", User: &registry.User{Name: "alice", Subject: "sub-alice", Groups: groups}, AuthTime: seen.Add(-age), ExpiresAt: seen.Add(time.Hour)}
	}
	age := func(seconds int) *time.Duration { d := time.Duration(seconds) * time.Second; return &d }
	for _, tc := range []struct {
		name     string
		session  *session.Session
		ask      *registry.Ask
		prompt   []string
		maxAge   *time.Duration
		subject  string
		decision interaction.Decision
		shown    *registry.Ask
		unknown  bool
		want     action
		wantErr  oauth.Code
	}{
		{name: "nobody signed in", want: askToSignIn},
		{name: "nobody signed in, prompt none", prompt: []string{"none"}, wantErr: oauth.LoginRequired},
		{name: "signed in", session: signedIn(time.Hour), want: askToConsent},
		{name: "signed in, prompt none", session: signedIn(time.Hour), prompt: []string{"none"}, wantErr: oauth.ConsentRequired},
		{name: "prompt none, nothing can be read", session: signedIn(time.Hour), prompt: []string{"none"}, unknown: true, wantErr: oauth.TemporarilyUnavailable},
		{name: "nothing can be read", session: signedIn(time.Hour), unknown: true, want: askToConsent},
		{name: "prompt login, signed in before", session: signedIn(time.Millisecond), prompt: []string{"login"}, want: askToSignIn},
		{name: "prompt login, signed in since", session: signedIn(-time.Millisecond), prompt: []string{"login"}, want: askToConsent},
		{name: "prompt login and consent", session: signedIn(time.Second), prompt: []string{"consent", "login"}, want: askToSignIn},
		{name: "select_account, signed in before", session: signedIn(time.Second), prompt: []string{"select_account"}, want: askToSignIn},
		{name: "select_account, signed in since", session: signedIn(-time.Second), prompt: []string{"select_account"}, want: askToConsent},
		{name: "max_age kept", session: signedIn(time.Minute), maxAge: age(60), want: askToConsent},
		{name: "max_age exceeded", session: signedIn(time.Minute), maxAge: age(59), want: askToSignIn},
		{name: "max_age exceeded, prompt none", session: signedIn(time.Minute), maxAge: age(59), prompt: []string{"none"}, wantErr: oauth.LoginRequired},
		{name: "max_age 0, signed in before", session: signedIn(time.Millisecond), maxAge: age(0), want: askToSignIn},
		{name: "max_age 0, signed in since", session: signedIn(-time.Minute), maxAge: age(0), want: askToConsent},
		{name: "the user who is meant", session: signedIn(time.Hour), subject: "sub-alice", want: askToConsent},
		{name: "another user is meant", session: signedIn(time.Hour), subject: "sub-bob", want: askToSignIn},
		{name: "another user is meant, prompt none", session: signedIn(time.Hour), subject: "sub-bob", prompt: []string{"none"}, wantErr: oauth.LoginRequired},
		{name: "another user is meant, but this one signed in since", session: signedIn(-time.Minute), subject: "sub-bob", wantErr: oauth.LoginRequired},
		{name: "denied", session: signedIn(time.Hour), decision: interaction.Deny, wantErr: oauth.AccessDenied},
		{name: "allowed", session: signedIn(time.Hour), decision: interaction.Allow, shown: target(read), want: issueCode},
		{name: "allowed, nothing can be read", session: signedIn(time.Hour), unknown: true, decision: interaction.Allow, shown: target(read), want: issueCode},
		{name: "allowed all", session: signedIn(time.Hour, "writers"), decision: interaction.Allow, shown: target(read, write), want: issueCode},
		{name: "allowed less than may be granted by now", session: signedIn(time.Hour, "writers"), decision: interaction.Allow, shown: target(read), want: askToConsent},
		{name: "allowed more than may be granted by now", session: signedIn(time.Hour), decision: interaction.Allow, shown: target(read, write), want: askToConsent},
		{name: "allowed, but signed in too long ago", session: signedIn(time.Minute), maxAge: age(1), decision: interaction.Allow, shown: target(read), want: askToSignIn},
		{name: "allowed, by another than is meant", session: signedIn(time.Minute), subject: "sub-bob", decision: interaction.Allow, shown: target(read), want: askToSignIn},
		{name: "denied, but signed out", decision: interaction.Deny, want: askToSignIn},
		{name: "nothing the user may grant", session: signedIn(time.Hour), ask: target(write), wantErr: oauth.AccessDenied},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := &interaction.Request{Client: &registry.Client{UID: "c"}, Seen: seen, Ask: target(read, write), Prompt: tc.prompt, MaxAge: tc.maxAge,
				Subject: tc.subject, Decision: tc.decision}
			if tc.ask != nil {
				req.Ask = tc.ask
			}
			var nothing *interaction.Memory
			if tc.shown != nil {
				req.Shown = nothing.Propose(req.Client, tc.shown).Digest(req.Client)
			}
			v := &interaction.Visit{Request: req, Visitor: interaction.Visitor{Issuer: &registry.Issuer{Config: &registry.Config{}}, Now: seen}}
			v.Browser.Session = tc.session
			got, err := next(v, memory{unknown: tc.unknown})
			switch {
			case err != nil && err.Code != tc.wantErr, err == nil && tc.wantErr != "":
				t.Fatalf("error %v, want %q", err, tc.wantErr)
			case got.action != tc.want:
				t.Errorf("action %d, want %d", got.action, tc.want)
			case tc.want == issueCode && got.granted.Digest(req.Client) != tc.shown.Digest(req.Client):
				t.Errorf("granted %v, which is not what was shown", got.granted.Scopes())
			case tc.want == issueCode && (got.consent != explicit || !got.keepUntil.Equal(tc.session.ExpiresAt)):
				t.Errorf("%s, kept until %s", got.consent, got.keepUntil)
			}
		})
	}
}

func TestWithQueryKeepsTheRedirectURI(t *testing.T) {
	fields := []ui.Field{{Name: "state", Value: "a b\r\n&c"}, {Name: "iss", Value: "é"}}
	for uri, want := range map[string]string{
		"https://c.example/cb":         "https://c.example/cb?state=a+b%0D%0A%26c&iss=%C3%A9",
		"https://c.example/cb?":        "https://c.example/cb?state=a+b%0D%0A%26c&iss=%C3%A9",
		"https://c.example/cb?x=%20~&": "https://c.example/cb?x=%20~&state=a+b%0D%0A%26c&iss=%C3%A9",
		"https://c.example/cb?x=1;y":   "https://c.example/cb?x=1;y&state=a+b%0D%0A%26c&iss=%C3%A9",
		"com.example.app:/cb":          "com.example.app:/cb?state=a+b%0D%0A%26c&iss=%C3%A9",
	} {
		if got := withQuery(uri, fields); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}
