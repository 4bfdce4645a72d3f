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

// A workload calls an API with a token that Kubernetes gives it for that API; the API calls another on behalf of that workload. Nobody
// has a secret. When the other team takes back what the API may have, or the API's own team its client, it ends.
func TestAPICallsAnotherOnBehalfOfAWorkload(t *testing.T) {
	api, theirs := newWorkload(t, "api", "api"), newTenant(t)
	n := api.tenant
	service := theirs.api("")
	kubectl(t, "", "create", "serviceaccount", "-n", n.namespace, "caller")
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", `{"spec":{"tokenExchange":{"clients":["api"]}}}`)
	kubectl(t, "", "patch", "oauthclient", "api", "-n", n.namespace, "--type=merge", "--patch", fmt.Sprintf(
		`{"spec":{"grantTypes":[%q],"redirectURIs":null,"scopes":null,"resources":[{"namespace":%q,"name":"orders","scopes":["orders.read"]}]}}`, tokenExchange, theirs.namespace))
	refused(t, n.clients(), "api", "ResolvedRefs", "RefNotPermitted")
	rule := fmt.Sprintf(`{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":%q}},"clients":["api"],"scopes":["orders.read"]}`, n.namespace)
	theirs.setAccess("[" + rule + "]")
	ready(t, n.clients(), "api")

	credential := createToken(t, n.namespace, "api", "--audience="+live.Issuer)
	exchange := func(what, raw, want string) (last tokens) {
		t.Helper()
		eventually(t, what, forgotten, func(ctx context.Context) (bool, error) {
			var err error
			last, err = api.shows(ctx, credential, url.Values{
				"grant_type": {tokenExchange}, "subject_token": {raw}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
				"resource": {theirs.identifier()}, "scope": {"orders.read"},
			})
			return last.Error == want, err
		})
		return last
	}
	raw := createToken(t, n.namespace, "caller", "--audience="+n.identifier())
	got := exchange("the workload's token", raw, "")
	name := n.namespace + ":caller"
	if user := service.accepts(got.AccessToken); user.Username != "oauth:serviceaccount:"+name || len(user.Groups) > 0 || !slices.Equal(user.Extra["oauth.latchkey.io/actor"], []string{api.id}) {
		t.Errorf("reviewed as %+v", user)
	}
	for what, refused := range map[string]string{
		"for the issuer":     createToken(t, n.namespace, "caller", "--audience="+live.Issuer),
		"for kube-apiserver": createToken(t, n.namespace, "caller"),
		"for the other API":  createToken(t, n.namespace, "caller", "--audience="+theirs.identifier()),
		"for both APIs":      createToken(t, n.namespace, "caller", "--audience="+n.identifier(), "--audience="+theirs.identifier()),
		"of default":         createToken(t, n.namespace, "default", "--audience="+n.identifier()),
	} {
		exchange(what, refused, "invalid_request")
	}
	theirs.setAccess("[]")
	service.comesToRefuse("the owner has taken it back", got.AccessToken)
	exchange("and gives no more", raw, "invalid_target")
	theirs.setAccess("[" + rule + "]")
	last := exchange("allowed again", raw, "")
	kubectl(t, "", "delete", "serviceaccount", "-n", n.namespace, "caller")
	exchange("the ServiceAccount is gone", raw, "invalid_request")
	kubectl(t, "", "delete", "oauthclient", "api", "-n", n.namespace)
	service.comesToRefuse("the client that got it is gone", last.AccessToken)
}
