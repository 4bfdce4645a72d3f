package ui

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/latchkey-io/latchkey/server/oauth"
)

func pages(t *testing.T) *Pages {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fill sets every string of a page to text, slices to two elements, and durations to a minute. The fields of Chrome that
// are no text are set to what is right.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(time.Minute))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
		if c, ok := v.Addr().Interface().(*Chrome); ok {
			c.BasePath, c.FormOrigins = "/tenant", []string{"https://shop.example"}
		}
	}
}

// filled renders each of the pages with text in every field.
func filled(t *testing.T, text string) map[string]*httptest.ResponseRecorder {
	t.Helper()
	p := pages(t)
	var login LoginPage
	var consent ConsentPage
	var failure ErrorPage
	var device DevicePage
	var deviceConsent DeviceConsentPage
	var deviceDecision DeviceDecisionPage
	var signOut SignOutPage
	var signedOut SignedOutPage
	for _, v := range []any{&login, &consent, &failure, &device, &deviceConsent, &deviceDecision, &signOut, &signedOut} {
		fill(reflect.ValueOf(v).Elem(), text)
	}
	out := map[string]*httptest.ResponseRecorder{}
	for _, name := range []string{"login", "consent", "error", "device", "device consent", "device decision", "sign-out", "signed out"} {
		out[name] = httptest.NewRecorder()
	}
	for name, err := range map[string]error{
		"login":           p.Login(out["login"], http.StatusOK, login),
		"consent":         p.Consent(out["consent"], http.StatusOK, consent),
		"error":           p.Error(out["error"], http.StatusBadRequest, failure),
		"device":          p.Device(out["device"], http.StatusOK, device),
		"device consent":  p.DeviceConsent(out["device consent"], http.StatusOK, deviceConsent),
		"device decision": p.DeviceDecision(out["device decision"], http.StatusOK, deviceDecision),
		"sign-out":        p.SignOut(out["sign-out"], signOut),
		"signed out":      p.SignedOut(out["signed out"], signedOut),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return out
}

func parsed(t *testing.T, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func byID(t *testing.T, doc *html.Node, id string) *html.Node {
	t.Helper()
	var found []*html.Node
	for n := range doc.Descendants() {
		if attr(n, "id") == id {
			found = append(found, n)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d elements with the id %s; want one", len(found), id)
	}
	return found[0]
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func form(t *testing.T, n *html.Node) *html.Node {
	t.Helper()
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "form" {
			return p
		}
	}
	t.Fatalf("%s is in no form", attr(n, "id"))
	return nil
}

func TestLoginForm(t *testing.T) {
	w := httptest.NewRecorder()
	v := LoginPage{Action: "https://login.example.com/login?s=abc", ClientName: "Print shop", ClientHost: "shop.example", RetryAfter: 1500 * time.Millisecond}
	v.IssuerName, v.IssuerHost = "Example", "login.example.com"
	if err := pages(t).Login(w, http.StatusTooManyRequests, v); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "2" {
		t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	for id, want := range map[string]map[string]string{
		"username": {"name": "username", "type": "text", "autocomplete": "username", "maxlength": "256", "autocapitalize": "none"},
		"password": {"name": "password", "type": "password", "autocomplete": "current-password", "maxlength": "1024", "value": ""},
		"sign-in":  {"type": "submit"},
	} {
		n := byID(t, doc, id)
		for name, value := range want {
			if got := attr(n, name); got != value {
				t.Errorf("%s: %s is %q; want %q", id, name, got, value)
			}
		}
		if f := form(t, n); attr(f, "action") != v.Action || attr(f, "method") != "post" {
			t.Errorf("the form of %s posts to %q by %q", id, attr(f, "action"), attr(f, "method"))
		}
	}
	if !hasAttr(byID(t, doc, "username"), "autofocus") || hasAttr(byID(t, doc, "password"), "autofocus") {
		t.Error("with no username, the focus belongs there")
	}
	all := textOf(doc)
	for _, want := range []string{"Sign in · Example", "to continue to Print shop at shop.example", "the address bar shows login.example.com"} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q: %s", want, all)
		}
	}
}

func TestLoginProblem(t *testing.T) {
	w := httptest.NewRecorder()
	if err := pages(t).Login(w, http.StatusUnprocessableEntity, LoginPage{Username: "alice", Problem: ProblemCredentials}); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	if n := byID(t, doc, "problem"); textOf(n) != ProblemCredentials || attr(n, "role") != "alert" {
		t.Errorf("problem: %q, role %q", textOf(n), attr(n, "role"))
	}
	for _, id := range []string{"username", "password"} {
		if n := byID(t, doc, id); attr(n, "aria-describedby") != "problem" || attr(n, "aria-invalid") != "true" {
			t.Errorf("%s does not refer to the problem", id)
		}
	}
	if n := byID(t, doc, "username"); attr(n, "value") != "alice" || !hasAttr(byID(t, doc, "password"), "autofocus") {
		t.Error("the username is kept, and the focus goes to the password")
	}
}

func TestConsentForm(t *testing.T) {
	v := ConsentPage{
		Action: "https://login.example.com/consent?s=abc", ClientName: "Print shop", ClientID: "demo.print-shop", RedirectHost: "localhost:20005",
		UserName: "alice", UserDisplayName: "Alice Liddell", Identity: []ScopeLine{IdentityScope(oauth.ScopeOpenID)},
		Resources: []ConsentResource{{Name: "Photos", Identifier: "https://photos.demo.svc", Scopes: []ScopeLine{
			{Name: "photos.read", Description: "See your photos"}, {Name: "photos.write"},
		}}},
		SwitchUserURL: "/authorize?prompt=login",
	}
	w := httptest.NewRecorder()
	if err := pages(t).Consent(w, http.StatusOK, v); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	for _, decision := range []string{"allow", "deny"} {
		n := byID(t, doc, decision)
		if n.Data != "button" || attr(n, "name") != "decision" || attr(n, "value") != decision || attr(n, "type") != "submit" {
			t.Errorf("button %s: %v", decision, n.Attr)
		}
		if f := form(t, n); attr(f, "action") != v.Action || attr(f, "method") != "post" {
			t.Errorf("the form of %s posts to %q by %q", decision, attr(f, "action"), attr(f, "method"))
		}
	}
	for id, want := range map[string]string{"client-name": "Print shop", "client-id": "demo.print-shop", "redirect-host": "localhost:20005",
		"user": "Alice Liddell alice Not you?", "resource-0": "At Photos", "switch-user": "Not you?"} {
		if got := textOf(byID(t, doc, id)); got != want {
			t.Errorf("%s: %q; want %q", id, got, want)
		}
	}
	all := textOf(doc)
	for _, want := range []string{"Allow Print shop to use your account?", "https://photos.demo.svc", "See your photos photos.read", "photos.write", "openid"} {
		if !strings.Contains(all, want) {
			t.Errorf("the page does not say %q: %s", want, all)
		}
	}
	if strings.Count(all, "photos.write") != 1 {
		t.Error("a scope without words is named twice")
	}
}

func TestConsentWithoutNames(t *testing.T) {
	w := httptest.NewRecorder()
	v := ConsentPage{ClientID: "demo.print-shop", ClientName: "\u202e", UserName: "alice", Resources: []ConsentResource{{Identifier: "https://photos.demo.svc"}}}
	if err := pages(t).Consent(w, http.StatusOK, v); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	for id, want := range map[string]string{"client-name": "demo.print-shop", "user": "alice", "resource-0": "At https://photos.demo.svc"} {
		if got := textOf(byID(t, doc, id)); got != want {
			t.Errorf("%s: %q; want %q", id, got, want)
		}
	}
}

func TestErrorPage(t *testing.T) {
	w := httptest.NewRecorder()
	v := ErrorPage{Code: "invalid_request", Description: "the redirect_uri is not registered", RestartURL: "/authorize"}
	if err := pages(t).Error(w, http.StatusBadRequest, v); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	for id, want := range map[string]string{"error-code": "invalid_request", "error-description": v.Description,
		"restart": "Start again"} {
		if got := textOf(byID(t, doc, id)); got != want {
			t.Errorf("%s: %q; want %q", id, got, want)
		}
	}
	if w.Code != http.StatusBadRequest || attr(byID(t, doc, "restart"), "href") != "/authorize" {
		t.Errorf("status %d, headers %v", w.Code, w.Header())
	}
}

// Whatever the code, the page says what happened, whose doing it is and what to do.
func TestEveryErrorIsExplained(t *testing.T) {
	for _, code := range []oauth.Code{"", "a_code_of_tomorrow", oauth.InvalidClient, oauth.UnauthorizedClient, oauth.AccessDenied, oauth.Forbidden,
		oauth.NotFound, oauth.MethodNotAllowed, oauth.TooLarge, oauth.TemporarilyUnavailable, oauth.ServerError, oauth.InvalidScope} {
		x := ErrorPage{Code: string(code)}.explained()
		if x.Code == "" || x.Heading == "" || x.What == "" || x.Whose == "" || x.Do == "" {
			t.Errorf("%q: %+v", code, x)
		}
	}
}

func TestIdentityScopesHaveWords(t *testing.T) {
	for _, name := range []string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeEmail, oauth.ScopeGroups} {
		if l := IdentityScope(name); l.Name != name || l.Description == "" {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
