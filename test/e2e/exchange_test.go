package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
)

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

// exchanged asks for a token for another API's first scope, on behalf of whoever the token speaks for (RFC 8693).
func (a *app) exchanged(ctx context.Context, token, target string) (tokens, error) {
	return a.token(ctx, url.Values{
		"grant_type": {tokenExchange}, "subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"resource": {target}, "scope": {"orders.read"},
	})
}

// comesToExchange waits until an exchange is answered with that error, none for a token.
func (a *app) comesToExchange(what, token, target, want string) (last tokens) {
	a.t.Helper()
	eventually(a.t, what, enforced, func(ctx context.Context) (bool, error) {
		var err error
		last, err = a.exchanged(ctx, token, target)
		return last.Error == want, err
	})
	return last
}

// An API calls another team's API on behalf of its user: its own team says that it may exchange the API's tokens, the other team what it
// may have for them. When the grant ends, so does what was got.
func TestAPICallsAnotherOnBehalfOfItsUser(t *testing.T) {
	n, theirs := newTenant(t), newTenant(t)
	service := n.api("")
	other := theirs.api("")
	a := n.publicApp("app")
	apply(t, fmt.Sprintf(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: api, namespace: %s}
spec:
  type: Confidential
  grantTypes: ['%s']
  resources: [{namespace: %s, name: orders, scopes: [orders.read]}]
  %s
`, n.namespace, tokenExchange, theirs.namespace, generated("api-oauth")))
	refused(t, n.clients(), "api", "ResolvedRefs", "RefNotPermitted")
	api := n.withCredentials(&app{t: t, issuer: live.Issuer}, "api-oauth")
	answer, _ := a.tokens(alice(t), "orders.read")
	service.accepts(answer.AccessToken)

	// Neither team has allowed it, then one, then both.
	api.comesToExchange("its own team has not allowed it", answer.AccessToken, theirs.identifier(), "invalid_request")
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", `{"spec":{"tokenExchange":{"clients":["api"]}}}`)
	api.comesToExchange("the other team has not allowed it", answer.AccessToken, theirs.identifier(), "invalid_target")
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", theirs.namespace, "--type=merge", "--patch", fmt.Sprintf(
		`{"spec":{"access":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":%q}},"clients":["api"],"scopes":["orders.read"]}]}}`, n.namespace))
	got := api.comesToExchange("both have", answer.AccessToken, theirs.identifier(), "")
	if got.status != http.StatusOK || got.Scope != "orders.read" || got.IDToken != "" {
		t.Errorf("%+v", got)
	}
	user := other.accepts(got.AccessToken)
	if user.Username != "oauth:alice" || !slices.Equal(user.Extra["oauth.latchkey.io/actor"], []string{api.id}) || !slices.Equal(user.Extra["oauth.latchkey.io/client-id"], []string{api.id}) {
		t.Errorf("reviewed as %+v", user)
	}
	service.refuses("it is for another API", got.AccessToken)

	later, _ := a.tokens(alice(t), "orders.read")
	lasts := api.comesToExchange("another grant's token", later.AccessToken, theirs.identifier(), "")
	kubectl(t, "", "delete", "oauthgrant", "-n", operatorNamespace, grantOf(t, service, answer.AccessToken))
	other.comesToRefuse("the grant is revoked", got.AccessToken)
	other.accepts(lasts.AccessToken)
	kubectl(t, "", "delete", "oauthclient", "app", "-n", n.namespace)
	other.comesToRefuse("the client that the user allowed is gone", lasts.AccessToken)
}
