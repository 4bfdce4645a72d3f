package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// callback is where clients of tests have users sent back to. Nobody opens it.
const callback = "https://app.example/callback"

// tenant is a namespace of a test's own.
type tenant struct {
	t         *testing.T
	namespace string
}

func newTenant(t *testing.T) tenant {
	t.Helper()
	n := tenant{t, unique()}
	kubectl(t, "", "create", "namespace", n.namespace)
	atEnd(t, "delete", "namespace", n.namespace, "--wait=false")
	return n
}

// identifier is that of the API.
func (n tenant) identifier() string { return "https://orders." + n.namespace + ".svc" }

// api declares the ResourceServer orders with two scopes, and who reviews tokens for it. access is its access list, in YAML.
func (n tenant) api(access string) reviewer {
	n.t.Helper()
	n.declareAPI(access)
	apply(n.t, strings.ReplaceAll(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: orders, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: orders-reviewer, namespace: NAMESPACE}
rules:
- {apiGroups: [oauth.latchkey.io], resources: [resourceservers], resourceNames: [orders], verbs: [review]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: orders-reviewer, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: orders-reviewer}
subjects:
- {kind: ServiceAccount, name: orders, namespace: NAMESPACE}
`, "NAMESPACE", n.namespace))
	return newReviewer(n.t, n.namespace, "orders", n.identifier())
}

func (n tenant) declareAPI(access string) {
	n.t.Helper()
	apply(n.t, fmt.Sprintf(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: ResourceServer
metadata: {name: orders, namespace: %s}
spec:
  authorizationServerNames: [default, local]
  identifier: %s
  displayName: Orders
  scopes:
  - {name: orders.read, description: See your orders}
  - {name: orders.write, description: Place and cancel orders}
  access: [%s]
`, n.namespace, n.identifier(), access))
	ready(n.t, resource("resourceservers", n.namespace), "orders")
}

func (n tenant) clients() dynamic.ResourceInterface { return resource("oauthclients", n.namespace) }

// declare applies an OAuthClient. fields are further ones of its spec, a line each.
func (n tenant) declare(name string, fields ...string) {
	n.t.Helper()
	apply(n.t, fmt.Sprintf(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: %s, namespace: %s}
spec:
  grantTypes: [authorization_code]
  scopes: [openid, profile, email]
  %s
`, name, n.namespace, strings.Join(fields, "\n  ")))
}

const confidential = "type: Confidential"

// public, redirects, using and generated are fields for declare.
func public() string              { return "type: Public" }
func redirects(uri string) string { return "redirectURIs: ['" + uri + "']" }
func at(server string) string     { return "authorizationServerName: " + server }
func generated(name string) string {
	return "authentication: {clientSecret: {source: Generated, secretName: " + name + "}}"
}
func using(n tenant) string {
	return "resources: [{namespace: " + n.namespace + ", name: orders, scopes: [orders.read, orders.write]}]"
}

// publicApp declares a public client of the https issuer that uses the tenant's own API, and waits until it is honoured.
func (n tenant) publicApp(name string) *app {
	n.t.Helper()
	n.declare(name, public(), redirects(callback), using(n))
	ready(n.t, n.clients(), name)
	a := &app{t: n.t, issuer: live.Issuer, id: n.namespace + "." + name, redirectURI: callback, resource: n.identifier()}
	a.isHonoured("orders.read")
	return a
}

// confidentialApp is the same with a secret, at that issuer.
func (n tenant) confidentialApp(name, server, issuer string) *app {
	n.t.Helper()
	n.declare(name, confidential, at(server), redirects(callback), using(n), generated(name+"-oauth"))
	ready(n.t, n.clients(), name)
	a := n.withCredentials(&app{t: n.t, issuer: issuer, redirectURI: callback, resource: n.identifier()}, name+"-oauth")
	a.isHonoured("orders.read")
	return a
}

// withCredentials reads the Secret as the application does.
func (n tenant) withCredentials(a *app, secretName string) *app {
	n.t.Helper()
	secret := n.secret(secretName)
	a.id, a.secret = string(secret.Data["client-id"]), string(secret.Data["client-secret"])
	if issuer := string(secret.Data["issuer"]); a.id == "" || a.secret == "" || issuer != a.issuer {
		n.t.Fatalf("Secret %s says client-id %q, a client-secret of %d bytes, issuer %q", secretName, a.id, len(a.secret), issuer)
	}
	return a
}

func (n tenant) secret(name string) *corev1.Secret {
	n.t.Helper()
	secret, err := core.CoreV1().Secrets(n.namespace).Get(n.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return secret
}

// reviewer is a service that has tokens for itself validated.
type reviewer struct {
	t                    *testing.T
	credential, audience string
}

// newReviewer is known as a ServiceAccount, by a token whose audience is the issuer.
func newReviewer(t *testing.T, namespace, account, audience string) reviewer {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{live.Issuer}}}
	answer, err := core.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return reviewer{t, answer.Status.Token, audience}
}

// ask is a TokenReview. An answer that is neither a yes nor a clean no is an error.
func (r reviewer) ask(ctx context.Context, token string) (*authenticationv1.TokenReviewStatus, error) {
	question, err := json.Marshal(&authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{r.audience}},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, live.Review, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+r.credential)
	status, text, err := send(request)
	if err != nil {
		return nil, err
	}
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if status != http.StatusOK || answer.Kind != "TokenReview" || answer.Status.Error != "" {
		return nil, fmt.Errorf("a TokenReview was answered with HTTP %d: %s", status, text)
	}
	return &answer.Status, nil
}

// accepts fails the test unless the token is good, and returns whose it is. It waits, because kube-apiserver takes a moment
// until it knows of a new RoleBinding, and Latchkey believes its "no" for two seconds.
func (r reviewer) accepts(token string) authenticationv1.UserInfo {
	r.t.Helper()
	var last *authenticationv1.TokenReviewStatus
	eventually(r.t, "the review of a good token", patience, func(ctx context.Context) (ok bool, err error) {
		if last, err = r.ask(ctx, token); err != nil {
			return false, err
		}
		return last.Authenticated, nil
	})
	if len(last.Audiences) != 1 || last.Audiences[0] != r.audience {
		r.t.Fatalf("answered for the audiences %v", last.Audiences)
	}
	return last.User
}

// refuses fails the test unless the token is bad, now.
func (r reviewer) refuses(why, token string) {
	r.t.Helper()
	status, err := r.ask(r.t.Context(), token)
	if err != nil || status.Authenticated {
		r.t.Errorf("%s: a token is reviewed as %+v, %v", why, status, err)
	}
}

// comesToRefuse waits until the token is bad, and logs how long that took.
func (r reviewer) comesToRefuse(why, token string) {
	r.t.Helper()
	took := eventually(r.t, why+": the token is refused", enforced, func(ctx context.Context) (bool, error) {
		status, err := r.ask(ctx, token)
		return err == nil && !status.Authenticated, err
	})
	r.t.Logf("%s: the token was refused %v later", why, took)
}

// send sends a request and reads the answer.
func send(request *http.Request) (status int, body []byte, err error) {
	response, err := direct.Do(request)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, body, errors.Join(err, response.Body.Close())
}

// convert reads one form of an object as another.
func convert(from, into any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
