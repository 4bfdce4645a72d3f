package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// app is a client, played by the test. Without a secret it is a public one.
type app struct {
	t                                         *testing.T
	issuer, id, secret, redirectURI, resource string
}

// request is an authorization request, and then the code that it was answered with.
type request struct {
	app                          *app
	verifier, state, nonce, code string
	redirectURI                  string
	url                          string
}

// tokens are a token endpoint's answer, or its error.
type tokens struct {
	AccessToken  string `json:"access_token"`
	IDToken      string `json:"id_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	Error        string `json:"error"`

	status int
}

// ask makes an authorization request.
func (a *app) ask(scope string) *request {
	r := &request{app: a, verifier: rand.Text() + rand.Text(), state: rand.Text(), nonce: rand.Text(), redirectURI: a.redirectURI}
	challenge := sha256.Sum256([]byte(r.verifier))
	query := url.Values{
		"client_id": {a.id}, "redirect_uri": {r.redirectURI}, "response_type": {"code"}, "scope": {scope}, "state": {r.state}, "nonce": {r.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	if a.resource != "" {
		query.Set("resource", a.resource)
	}
	r.url = a.issuer + "/authorize?" + query.Encode()
	return r
}

// redeem presents the code. An OAuth error is an answer like any other.
func (r *request) redeem(ctx context.Context) (answer tokens, err error) {
	return r.app.token(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {r.code}, "redirect_uri": {r.redirectURI}, "code_verifier": {r.verifier},
	})
}

// token sends a token request with the client's credentials.
func (a *app) token(ctx context.Context, form url.Values) (answer tokens, err error) {
	if a.secret == "" {
		form.Set("client_id", a.id)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.secret != "" {
		request.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret)) // encoded first: RFC 6749 section 2.3.1
	}
	status, text, err := send(request)
	if err != nil {
		return answer, err
	}
	answer.status = status
	return answer, json.Unmarshal(text, &answer)
}

// tokens walks the whole flow for a person who allows it.
func (a *app) tokens(who *person, scope string) (tokens, *request) {
	a.t.Helper()
	r := who.allow(a.ask(scope))
	answer, err := r.redeem(a.t.Context())
	if err != nil || answer.status != http.StatusOK || answer.AccessToken == "" {
		a.t.Fatalf("the code is answered with HTTP %d %s, %v", answer.status, answer.Error, err)
	}
	return answer, r
}

// isRefused fails the test unless the code is answered with invalid_grant.
func (r *request) isRefused(why string) {
	r.app.t.Helper()
	answer, err := r.redeem(r.app.t.Context())
	if err != nil || answer.status != http.StatusBadRequest || answer.Error != "invalid_grant" || answer.AccessToken != "" {
		r.app.t.Errorf("%s: the code is answered with HTTP %d %s, %v", why, answer.status, answer.Error, err)
	}
}

// What a browser meets on its way from an authorization request, besides the code of an OAuth error.
const (
	signInPage  = "the sign-in page"
	consentPage = "the consent page"
)

// meets says what a stranger's browser meets.
func (a *app) meets(ctx context.Context, scope string) (string, error) {
	b, err := browser.New(direct.Transport)
	if err != nil {
		return "", err
	}
	r := a.ask(scope)
	page, err := follow(ctx, b, r)
	if err != nil {
		return "", err
	}
	return describe(page, r), nil
}

// isHonoured waits until the server knows the client with its resource and its secret, and returns how long that took.
func (a *app) isHonoured(scope string) time.Duration {
	a.t.Helper()
	return eventually(a.t, a.id+" is honoured", enforced, func(ctx context.Context) (bool, error) {
		page, err := a.meets(ctx, scope)
		if err != nil || page != signInPage {
			return false, err
		}
		err = a.proves(ctx)
		return err == nil, nil
	})
}

// proves is nil when the client authenticates: only a code that nobody made is bad then.
func (a *app) proves(ctx context.Context) error {
	answer, err := a.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {"none"}})
	if err == nil && answer.Error != "invalid_grant" {
		err = errors.New(answer.Error)
	}
	return err
}

// follow goes from the request to the first page, or to the redirect that leads back to the client.
func follow(ctx context.Context, b *browser.Browser, r *request) (*browser.Page, error) {
	page, err := b.Get(ctx, r.url)
	for range 10 {
		if err != nil || page.Next == nil || leadsBack(page, r) {
			return page, err
		}
		page, err = b.Get(ctx, page.Next.String())
	}
	return nil, errors.New("the authorization server redirects in a circle")
}

func leadsBack(page *browser.Page, r *request) bool {
	return page.Next != nil && strings.HasPrefix(page.Next.String(), r.redirectURI+"?")
}

// describe names a page: by what it asks for, or by the error on it or in the redirect to the client.
func describe(page *browser.Page, r *request) string {
	switch {
	case leadsBack(page, r) && page.Next.Query().Get("code") != "":
		return "a code"
	case leadsBack(page, r):
		return "redirect: " + page.Next.Query().Get("error")
	case page.ID("sign-in") != nil:
		return signInPage
	case page.ID("allow") != nil:
		return consentPage
	case page.ID("error-code") != nil:
		return fmt.Sprintf("page %d: %s", page.Status, page.ID("error-code").Text())
	}
	return page.Text()
}

// person is a user with a browser.
type person struct {
	t              *testing.T
	name, password string
	browser        *browser.Browser
}

func newPerson(t *testing.T, name, password string) *person {
	t.Helper()
	b, err := browser.New(direct.Transport)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, name, password, b}
}

func alice(t *testing.T) *person { t.Helper(); return newPerson(t, "alice", "wonderland") }

// newUser declares a LocalUser who can sign in at both issuers, with alice's password.
func newUser(t *testing.T) *person {
	t.Helper()
	name := unique()
	setPassword(t, name, "alice")
	atEnd(t, "delete", "secret", "-n", operatorNamespace, name)
	apply(t, fmt.Sprintf(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: LocalUser
metadata: {name: %s}
spec: {authorizationServerNames: [default, local], displayName: A User, email: %[1]s@example.com, passwordSecretRef: {name: %[1]s}}
`, name))
	atEnd(t, "delete", "localuser", name)
	p := newPerson(t, name, "wonderland")
	p.canSignIn()
	return p
}

// canSignIn waits until the server knows the user, which it may a moment after the controller. Its tries are few: five that
// fail would have the user wait.
func (p *person) canSignIn() {
	p.t.Helper()
	ready(p.t, resource("localusers", ""), p.name)
	err := wait.PollUntilContextTimeout(p.t.Context(), time.Second, 4*time.Second-pollInterval, true, func(context.Context) (bool, error) {
		elsewhere := newPerson(p.t, p.name, p.password)
		r := kubectlApp(p.t).ask("openid")
		return describe(elsewhere.signIn(elsewhere.open(r), r), r) == consentPage, nil
	})
	if err != nil {
		p.t.Fatalf("%s can't sign in: %v", p.name, err)
	}
}

// setPassword gives a user the password of one of the samples' users.
func setPassword(t *testing.T, name, sample string) {
	t.Helper()
	from, err := core.CoreV1().Secrets(operatorNamespace).Get(t.Context(), sample+"-password", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name},
		Data:       from.Data,
	})
	if err != nil {
		t.Fatal(err)
	}
	apply(t, string(manifest))
}

// open opens an authorization request, without signing in.
func (p *person) open(r *request) *browser.Page {
	p.t.Helper()
	page, err := follow(p.t.Context(), p.browser, r)
	if err != nil {
		p.t.Fatal(err)
	}
	return page
}

// press fills in a form, and follows where that leads.
func (p *person) press(page *browser.Page, r *request, button string, fields map[string]string) *browser.Page {
	p.t.Helper()
	form, err := page.Form(button)
	if err != nil {
		p.t.Fatal(err)
	}
	if page, err = p.browser.Submit(p.t.Context(), form, button, fields); err != nil {
		p.t.Fatal(err)
	}
	if page.Next == nil || leadsBack(page, r) {
		return page
	}
	next := *r
	next.url = page.Next.String()
	return p.open(&next)
}

func (p *person) signIn(page *browser.Page, r *request) *browser.Page {
	p.t.Helper()
	return p.press(page, r, "sign-in", map[string]string{"username": p.name, "password": p.password})
}

// allow goes from the request to a code, by whatever pages come.
func (p *person) allow(r *request) *request {
	p.t.Helper()
	page := p.open(r)
	if describe(page, r) == signInPage {
		page = p.signIn(page, r)
	}
	if describe(page, r) == consentPage {
		page = p.press(page, r, "allow", nil)
	}
	if !leadsBack(page, r) {
		p.t.Fatalf("%s does not come back to the client, but to %s", p.name, describe(page, r))
	}
	query := page.Next.Query()
	if query.Get("state") != r.state || query.Get("iss") != r.app.issuer || query.Get("code") == "" {
		p.t.Fatalf("came back with state %q, iss %q, error %q", query.Get("state"), query.Get("iss"), query.Get("error"))
	}
	r.code = query.Get("code")
	return r
}
