package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// introspect asks the issuer about a token (RFC 7662). An answer without a yes or a no is an error.
func introspect(ctx context.Context, issuer, token string, authenticate func(*http.Request)) (claims map[string]any, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	authenticate(request)
	status, text, err := send(request)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return nil, err
	}
	if _, ok := claims["active"].(bool); !ok || status != http.StatusOK {
		return nil, fmt.Errorf("introspection was answered with HTTP %d: %s", status, text)
	}
	return claims, nil
}

// byAccount authenticates as the service's ServiceAccount, byClient as a client.
func (r reviewer) byAccount(request *http.Request) {
	request.Header.Set("Authorization", "Bearer "+r.credential)
}

func (a *app) byClient(request *http.Request) {
	request.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(a.secret))
}

// comesToBe waits until introspection says so, of as many callers as there are.
func comesToBe(t *testing.T, what, issuer, token string, active bool, callers ...func(*http.Request)) {
	t.Helper()
	took := eventually(t, what, patience, func(ctx context.Context) (bool, error) {
		for _, caller := range callers {
			claims, err := introspect(ctx, issuer, token, caller)
			if err != nil || claims["active"] != active {
				return false, err
			}
		}
		return true, nil
	})
	t.Logf("%s: after %v", what, took)
}

// A resource server's owner declares a client in its own namespace, a gateway for instance, that introspects tokens beside the
// ServiceAccount that RBAC allows; when the user's client hands its token back, both are told.
func TestIntrospectionUntilTheClientRevokes(t *testing.T) {
	n, stranger := newTenant(t), newTenant(t)
	service := n.api("")
	a := n.confidentialApp("app", "default", live.Issuer)
	gateway := n.confidentialApp("gateway", "default", live.Issuer)
	answer, _ := a.tokens(alice(t), "openid orders.read")
	service.accepts(answer.AccessToken)

	claims, err := introspect(t.Context(), live.Issuer, answer.AccessToken, gateway.byClient)
	if err != nil || claims["active"] != false {
		t.Errorf("a client that is not declared is told %v, %v", claims, err)
	}
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", `{"spec":{"introspection":{"clients":["gateway"]}}}`)
	comesToBe(t, "a client that is declared introspects", live.Issuer, answer.AccessToken, true, service.byAccount, gateway.byClient)
	for name, caller := range map[string]func(*http.Request){"a ServiceAccount": service.byAccount, "a client": gateway.byClient} {
		claims, err := introspect(t.Context(), live.Issuer, answer.AccessToken, caller)
		if err != nil || claims["username"] != "alice" || claims["client_id"] != a.id || claims["scope"] != "openid orders.read" {
			t.Errorf("%s is told %v, %v", name, claims, err)
		}
	}

	// Another team may declare what it likes: its word counts for its own API.
	theirs := stranger.api("")
	claims, err = introspect(t.Context(), live.Issuer, answer.AccessToken, theirs.byAccount)
	if err != nil || claims["active"] != false || len(claims) != 1 {
		t.Errorf("another team's ServiceAccount is told %v, %v", claims, err)
	}

	a.revoke(answer.AccessToken)
	comesToBe(t, "a token that its client handed back is not active", live.Issuer, answer.AccessToken, false, service.byAccount, gateway.byClient)
	service.refuses("its client handed it back", answer.AccessToken)
}

// revoke hands a token back (RFC 7009).
func (a *app) revoke(token string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.issuer+"/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a.byClient(request)
	if status, text, err := send(request); err != nil || status != http.StatusOK {
		a.t.Fatalf("revocation is answered with HTTP %d %s, %v", status, text, err)
	}
}

// Introspection costs no write, however often it is asked, and asks kube-apiserver about the caller once in seconds.
func TestIntrospectionWritesNothing(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	answer, _ := a.tokens(alice(t), "orders.read")
	service.accepts(answer.AccessToken)
	before := storeWrites(t)
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(10)
	for range 200 {
		group.Go(func() error {
			claims, err := introspect(ctx, live.Issuer, answer.AccessToken, service.byAccount)
			if err == nil && claims["active"] != true {
				err = fmt.Errorf("told %v", claims)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if after := storeWrites(t); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v writes before, %v after", before, after)
	}
}
