package logout_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/logout"
	"github.com/latchkey-io/latchkey/server/outbound"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
)

// listener is a client's server, which hears of sign-outs.
type listener struct {
	*httptest.Server
	mu sync.Mutex
	// answers are the statuses it answers with, one after the other, then 200.
	answers []int
	// hold, when it is not nil, is waited for before an answer.
	hold  chan struct{}
	heard []*http.Request
}

func newListener(t *testing.T, answers ...int) *listener {
	t.Helper()
	l := &listener{answers: answers}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		l.mu.Lock()
		l.heard = append(l.heard, r)
		status, hold := http.StatusOK, l.hold
		if len(l.answers) > 0 {
			status, l.answers = l.answers[0], l.answers[1:]
		}
		l.mu.Unlock()
		if hold != nil {
			<-hold
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) requests() []*http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*http.Request(nil), l.heard...)
}

// newListeningSite is a site that may call loopback, and whose print shop listens there.
func newListeningSite(t *testing.T, l *listener, change func(*logout.NotifierConfig)) (*site, *logout.Notifier) {
	t.Helper()
	var notifier *logout.Notifier
	s := &site{servertest.StartWith(t, func(c *server.Config) {
		config := logout.NotifierConfig{
			Outbound: outbound.New(outbound.Config{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
			Now:      c.Now, Logger: c.Logger, RetryDelay: time.Millisecond,
		}
		if change != nil {
			change(&config)
		}
		notifier = logout.NewNotifier(config)
		c.Logouts = notifier
	}), t}
	s.declare(func(c *registry.Client) {
		c.BackChannelLogoutURI = l.URL + "/backchannel"
		c.PostLogoutRedirectURIs = []registry.RedirectURI{{URI: afterwards}}
	})
	return s, notifier
}

func (s *site) signOut(b *servertest.Browser, hint string) {
	s.t.Helper()
	p := b.Get(s.URL + "/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {afterwards}}.Encode())
	if p.Location() != afterwards {
		s.t.Fatalf("%d %s", p.Status, p.Body)
	}
}

func decoded(t *testing.T, segment string) map[string]any {
	t.Helper()
	body, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// Back-Channel Logout sections 2.4 and 2.5.
func TestLogoutToken(t *testing.T) {
	for _, alg := range []keys.Algorithm{keys.RS256, keys.ES256} {
		l := newListener(t)
		s, _ := newListeningSite(t, l, nil)
		s.declare(func(c *registry.Client) { c.IDTokenAlgorithm, c.Sector = alg, "demo/print.example" })
		b, hint := s.signIn()
		s.signOut(b, hint)
		s.eventually("the client is told", func() bool { return len(s.audits("logout_notified")) == 1 })
		heard := l.requests()
		if len(heard) != 1 {
			t.Fatalf("%d requests", len(heard))
		}
		r := heard[0]
		if r.Method != http.MethodPost || r.URL.Path != "/backchannel" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.PostForm) != 1 {
			t.Errorf("%s %s %v %v", r.Method, r.URL, r.Header, r.PostForm)
		}
		parts := strings.Split(r.PostForm.Get("logout_token"), ".")
		header, claims, id := decoded(t, parts[0]), decoded(t, parts[1]), decoded(t, strings.Split(hint, ".")[1])
		key, ok := s.Issuer("").Keys.Verifier(header["kid"].(string))
		if !ok || string(key.Algorithm) != header["alg"] || header["alg"] != string(alg) || header["typ"] != "logout+jwt" {
			t.Errorf("header %v", header)
		}
		now := float64(s.Clock.Now().Unix())
		if claims["iss"] != s.URL || claims["sub"] != id["sub"] || claims["sid"] != id["sid"] || claims["iat"] != now || claims["exp"] != now+120 || claims["jti"] == "" || claims["nonce"] != nil {
			t.Errorf("claims %v; ID token %v", claims, id)
		}
		if aud, _ := claims["aud"].([]any); len(aud) != 1 || aud[0] != registrytest.PrintShop {
			t.Errorf("aud %v", claims["aud"])
		}
		events, _ := claims["events"].(map[string]any)
		if event, ok := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any); !ok || len(event) != 0 || len(events) != 1 {
			t.Errorf("events %v", claims["events"])
		}
		if told := s.audits("logout_notified")[0]; told["result"] != "success" || told["client_id"] != registrytest.PrintShop {
			t.Errorf("%v", told)
		}
		if strings.Contains(s.Log.String(), parts[2]) {
			t.Error("the log holds the token")
		}
	}
}

// A client with several grants of the session is told once, also when all it keeps is offline; not for another session, nor when it is
// another object by now.
func TestWhoIsTold(t *testing.T) {
	l := newListener(t)
	s, notifier := newListeningSite(t, l, nil)
	s.declare(func(c *registry.Client) { c.Scopes = append(c.Scopes, "offline_access") })
	b := s.NewBrowser()
	s.tokens(b, "")
	hint := s.tokens(b, "", "offline_access")["id_token"].(string)
	other, othersHint := s.signIn()
	s.signOut(b, hint)
	s.declare(func(c *registry.Client) { c.UID = "another" })
	s.signOut(other, othersHint)
	if err := notifier.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(l.requests()); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestDeliveryIsTriedTwice(t *testing.T) {
	s, notifier := newListeningSite(t, newListener(t), nil)
	for name, test := range map[string]struct {
		answers  []int
		requests int
		result   string
	}{
		"well at once":        {nil, 1, "success"},
		"204":                 {[]int{204}, 1, "success"},
		"well the second":     {[]int{503}, 2, "success"},
		"never well":          {[]int{500, 502, 503}, 2, "failed"},
		"too many requests":   {[]int{429}, 2, "success"},
		"refused":             {[]int{400}, 1, "failed"},
		"redirected":          {[]int{302}, 1, "failed"},
		"refused, the second": {[]int{500, 400}, 2, "failed"},
	} {
		l := newListener(t, test.answers...)
		s.declare(func(c *registry.Client) { c.BackChannelLogoutURI = l.URL })
		before := len(s.audits("logout_notified"))
		b, hint := s.signIn()
		s.signOut(b, hint)
		if err := notifier.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := s.audits("logout_notified")[before:]
		if len(l.requests()) != test.requests || len(told) != 1 || told[0]["result"] != test.result {
			t.Errorf("%s: %d requests, %v", name, len(l.requests()), told)
		}
		tokens := map[string]bool{}
		for _, r := range l.requests() {
			tokens[r.PostForm.Get("logout_token")] = true
		}
		if len(tokens) != test.requests {
			t.Errorf("%s: a token was sent twice", name)
		}
	}
}

// A client that does not answer keeps no user waiting; the end of the server waits for it, but not for ever.
func TestSlowClient(t *testing.T) {
	l := newListener(t)
	l.hold = make(chan struct{})
	s, notifier := newListeningSite(t, l, nil)
	b, hint := s.signIn()
	s.signOut(b, hint)
	s.eventually("the client is called", func() bool { return len(l.requests()) == 1 })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := notifier.Drain(ended); err == nil {
		t.Error("what is not delivered was given up without a word")
	}
	if len(s.audits("logout_notified")) != 0 {
		t.Error("it was audited before it was known")
	}
	close(l.hold)
	if err := notifier.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if told := s.audits("logout_notified"); len(told) != 1 || told[0]["result"] != "success" {
		t.Errorf("%v", told)
	}
}

// Draining does not wait for the pause before the second attempt.
func TestDrainHurries(t *testing.T) {
	l := newListener(t, 500)
	s, notifier := newListeningSite(t, l, func(c *logout.NotifierConfig) { c.RetryDelay = time.Hour })
	b, hint := s.signIn()
	s.signOut(b, hint)
	if err := notifier.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told := s.audits("logout_notified"); len(told) != 1 || told[0]["result"] != "success" || len(l.requests()) != 2 {
		t.Errorf("%v", told)
	}
}

// Security: SSRF through the logout URI: no connection to what is not public; the user notices nothing.
func TestSSRFThroughLogoutURI(t *testing.T) {
	l := newListener(t)
	s, notifier := newListeningSite(t, l, func(c *logout.NotifierConfig) { c.Outbound = outbound.New(outbound.Config{}) })
	b, hint := s.signIn()
	s.signOut(b, hint)
	if err := notifier.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := s.audits("logout_notified")
	if len(l.requests()) != 0 || len(told) != 1 || told[0]["result"] != "failed" {
		t.Errorf("%d requests, %v", len(l.requests()), told)
	}
}

// One too many is dropped, and it is said: of one namespace, whose slow clients delay nobody else, and of all together.
func TestTooManyNotices(t *testing.T) {
	l := newListener(t)
	l.hold = make(chan struct{})
	iss := registrytest.Issuer(t, "https://login.example", time.Now())
	client := registrytest.Client(t, iss, registrytest.PrintShop)
	client.BackChannelLogoutURI = l.URL
	log := &servertest.Log{}
	notifier := logout.NewNotifier(logout.NotifierConfig{
		Outbound: outbound.New(outbound.Config{AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		Now:      time.Now, Logger: slog.New(slog.NewJSONHandler(log, nil)), RetryDelay: time.Millisecond, MaxPending: 8,
	})
	for _, namespace := range []string{"a", "b", "c", "d", "e"} {
		own := *client
		own.Namespace = namespace
		for range 3 {
			notifier.Notify(t.Context(), logout.Notice{Issuer: iss, Client: &own, User: registrytest.User(t, iss, registrytest.Alice), SessionID: "sid"})
		}
	}
	// Two of a namespace find room, four namespaces do, and the fifth finds none.
	if own, all := strings.Count(log.String(), "too many of its namespace are waiting"), strings.Count(log.String(), "too many are waiting"); own != 4 || all != 3 {
		t.Errorf("%d and %d were dropped", own, all)
	}
	close(l.hold)
	if err := notifier.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(l.requests()); n != 8 {
		t.Errorf("%d were delivered", n)
	}
}

// A user who signs out everywhere does so at every client, of every session: the token names none (section 2.4).
func TestLogoutTokenOfAllSessions(t *testing.T) {
	l := newListener(t)
	s, notifier := newListeningSite(t, l, nil)
	s.signIn() // elsewhere
	b, hint := s.signIn()
	p := b.Get(s.URL + "/logout")
	b.Post(p.Action(t), url.Values{"decision": {"sign-out-everywhere"}})
	if err := notifier.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard := l.requests()
	if len(heard) != 1 {
		t.Fatalf("%d requests", len(heard))
	}
	claims, id := decoded(t, strings.Split(heard[0].PostForm.Get("logout_token"), ".")[1]), decoded(t, strings.Split(hint, ".")[1])
	if _, named := claims["sid"]; named || claims["sub"] != id["sub"] {
		t.Errorf("claims %v", claims)
	}
}
