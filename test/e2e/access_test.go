package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// withdrawn bounds how long a token keeps what its API's owner has withdrawn, from the moment that kubectl has returned.
const withdrawn = time.Second

// guests are the clients of another namespace than the API's: an app with users, and a service of its own.
type guests struct {
	tenant
	app, robot *app
}

// newGuests declares both clients, and waits for nothing.
func newGuests(t *testing.T, owner tenant) guests {
	t.Helper()
	n := newTenant(t)
	apply(t, strings.NewReplacer("NAMESPACE", n.namespace, "USING", using(owner), "CALLBACK", callback).Replace(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: app, namespace: NAMESPACE}
spec:
  type: Public
  redirectURIs: [CALLBACK]
  grantTypes: [authorization_code, refresh_token]
  scopes: [openid, offline_access]
  USING
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: robot, namespace: NAMESPACE}
spec:
  type: Confidential
  grantTypes: [client_credentials]
  USING
  authentication: {clientSecret: {source: Generated, secretName: robot-oauth}}
`))
	return guests{
		tenant: n,
		app:    &app{t: t, issuer: live.Issuer, id: n.namespace + ".app", redirectURI: callback, resource: owner.identifier()},
		robot:  &app{t: t, issuer: live.Issuer, resource: owner.identifier()},
	}
}

// areAllowed waits until both clients are honoured.
func (g guests) areAllowed() {
	g.t.Helper()
	for _, name := range []string{"app", "robot"} {
		ready(g.t, g.clients(), name)
	}
	*g.robot = *g.withCredentials(g.robot, "robot-oauth")
	g.app.isHonoured("orders.read")
}

// asks has the service ask for a token of its own.
func (g guests) asks(ctx context.Context, scope string) (tokens, error) {
	return g.robot.token(ctx, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {g.robot.resource}})
}

func (a *app) refreshed(ctx context.Context, refreshToken string) (tokens, error) {
	return a.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

// setAccess writes the access rules and returns when kubectl does. rules is a list, in JSON or YAML.
func (n tenant) setAccess(rules string) {
	n.t.Helper()
	kubectl(n.t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", "spec: {access: "+rules+"}")
}

// has waits until the API is told that the token has these scopes of its own, by both of the ways to ask: nothing for a token that
// is not good at all.
func (r reviewer) has(what, token string, scopes ...string) {
	r.t.Helper()
	want := strings.Join(scopes, " ")
	var reviewed, introspected string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("TokenReview has it %q, introspection %q", reviewed, introspected)
		}
	}()
	took := eventually(r.t, what, withdrawn, func(ctx context.Context) (bool, error) {
		status, err := r.ask(ctx, token)
		if err != nil {
			return false, err
		}
		claims, err := introspect(ctx, live.Issuer, token, r.byAccount)
		if err != nil {
			return false, err
		}
		told, _ := claims["scope"].(string)
		reviewed, introspected = ofOrders(status.User.Extra["oauth.latchkey.io/scope"]), ofOrders(strings.Fields(told))
		return reviewed == want && introspected == want && status.Authenticated == (want != "") && claims["active"] == (want != ""), nil
	})
	r.t.Logf("%s: the API was told %v after kubectl returned", what, took)
}

// ofOrders are those scopes that are the API's own.
func ofOrders(scopes []string) string {
	var own []string
	for _, s := range scopes {
		if strings.HasPrefix(s, "orders.") {
			own = append(own, s)
		}
	}
	return strings.Join(own, " ")
}

// ruleIn is the rule that the message of a client's ResolvedRefs condition says would have to be added.
func ruleIn(t *testing.T, g guests, client string) string {
	t.Helper()
	message := refused(t, g.clients(), client, "ResolvedRefs", "RefNotPermitted")
	_, rule, found := strings.Cut(message, "its owner would have to add to its spec.access: ")
	if !found {
		t.Fatalf("the message has no rule: %s", message)
	}
	return rule
}

// Nothing is allowed until the owner says so, the message tells the owner what to say, and what the owner takes back is gone: from the
// next token, and within a second from the tokens that are out.
func TestOwnerAllowsWhatTheMessageSaysAndTakesItBack(t *testing.T) {
	owner := newTenant(t)
	service := owner.api("")
	g := newGuests(t, owner)
	rules := []string{ruleIn(t, g, "app"), ruleIn(t, g, "robot")}
	for _, kind := range []string{"Ready", "Stalled"} {
		if c, err := condition(t.Context(), g.clients(), "app", kind); err != nil || c.Reason != "RefNotPermitted" {
			t.Errorf("%s: %+v, %v", kind, c, err)
		}
	}
	if met, err := g.app.meets(t.Context(), "orders.read"); err != nil || met != "redirect: invalid_scope" {
		t.Errorf("before anything is allowed, a browser meets %q, %v", met, err)
	}

	owner.setAccess("[" + strings.Join(rules, ", ") + "]")
	g.areAllowed()
	user := alice(t)
	answer, _ := g.app.tokens(user, "openid offline_access orders.read orders.write")
	service.accepts(answer.AccessToken)
	service.has("the user's token is good for both", answer.AccessToken, "orders.read", "orders.write")
	own, err := g.asks(t.Context(), "orders.read orders.write")
	if err != nil || own.Scope != "orders.read orders.write" {
		t.Fatalf("the service is answered with %q %s, %v", own.Scope, own.Error, err)
	}

	for i := range rules {
		rules[i] = strings.Replace(rules[i], `,"orders.write"`, "", 1)
	}
	owner.setAccess("[" + strings.Join(rules, ", ") + "]")
	service.has("the user's token has lost the scope", answer.AccessToken, "orders.read")
	service.has("the service's token has lost the scope", own.AccessToken, "orders.read")
	g.haveLost(t, answer.RefreshToken)
	if rule := ruleIn(t, g, "app"); strings.Contains(rule, "orders.read") || !strings.Contains(rule, "orders.write") {
		t.Errorf("what is missing now: %s", rule)
	}

	owner.setAccess("[]")
	service.has("the user's token is good for nothing", answer.AccessToken)
	service.has("the service's token is good for nothing", own.AccessToken)
	if own, err = g.asks(t.Context(), "orders.read"); err != nil || own.AccessToken != "" || own.Error != "invalid_scope" && own.Error != "invalid_target" {
		t.Errorf("the service is answered with %q %s, %v", own.Scope, own.Error, err)
	}

	owner.setAccess(`[{namespaceSelector: {}, clients: [app], scopes: ["*"]}]`)
	service.has("what the user granted is good again", answer.AccessToken, "orders.read", "orders.write")
	again := g.app.ask("openid orders.read orders.write")
	if met := describe(user.open(again), again); met != "a code" {
		t.Errorf("the user, who has allowed it, meets %s", met)
	}
}

// haveLost tries every way to a token with a scope that was withdrawn.
func (g guests) haveLost(t *testing.T, refreshToken string) {
	t.Helper()
	if next, err := g.app.refreshed(t.Context(), refreshToken); err != nil || ofOrders(strings.Fields(next.Scope)) != "orders.read" {
		t.Errorf("refreshed: %q %s, %v", next.Scope, next.Error, err)
	}
	if met, err := g.app.meets(t.Context(), "orders.write"); err != nil || met != "redirect: invalid_scope" {
		t.Errorf("a request for the scope meets %q, %v", met, err)
	}
	if own, err := g.asks(t.Context(), "orders.write"); err != nil || own.Error != "invalid_scope" {
		t.Errorf("the service asks for the scope: %q %s, %v", own.Scope, own.Error, err)
	}
	if own, err := g.asks(t.Context(), "orders.read"); err != nil || own.Scope != "orders.read" {
		t.Errorf("the service asks for what is left: %q %s, %v", own.Scope, own.Error, err)
	}
}

// A rule may select namespaces by any label. It holds for those that have it, for as long as they do.
func TestAccessFollowsTheLabelsOfTheNamespace(t *testing.T) {
	for name, selector := range map[string]string{
		"matchLabels":      `{matchLabels: {LABEL: web}}`,
		"matchExpressions": `{matchExpressions: [{key: LABEL, operator: In, values: [web, mobile]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			owner, label := newTenant(t), unique()
			service := owner.api("{namespaceSelector: " + strings.ReplaceAll(selector, "LABEL", label) + `, clients: [app, robot], scopes: ["*"]}`)
			g := newGuests(t, owner)
			ruleIn(t, g, "app")

			kubectl(t, "", "label", "namespace", g.namespace, label+"=web")
			g.areAllowed()
			own, err := g.asks(t.Context(), "orders.read orders.write")
			if err != nil || own.status != http.StatusOK {
				t.Fatalf("HTTP %d %s, %v", own.status, own.Error, err)
			}
			service.accepts(own.AccessToken)

			kubectl(t, "", "label", "namespace", g.namespace, label+"-")
			service.has("the namespace has lost its label", own.AccessToken)
			if own, err = g.asks(t.Context(), "orders.read"); err != nil || own.AccessToken != "" {
				t.Errorf("the service is answered with %q %s, %v", own.Scope, own.Error, err)
			}
			ruleIn(t, g, "app")
			ruleIn(t, g, "robot")
		})
	}
}

// "*" stands for all clients, or for all scopes: those that are added later, too. Clients of namespaces that no rule selects have nothing
// of it.
func TestAccessForAll(t *testing.T) {
	owner := newTenant(t)
	owner.api("")
	g := newGuests(t, owner)
	namespaces := "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [" + g.namespace + "]}]}"
	for name, rule := range map[string]struct{ rule, may string }{
		"all scopes of one client":    {"{namespaceSelector: " + namespaces + `, clients: [robot], scopes: ["*"]}`, "orders.read orders.write"},
		"one scope for all clients":   {"{namespaceSelector: " + namespaces + `, clients: ["*"], scopes: [orders.read]}`, "orders.read"},
		"everything for everybody":    {`{namespaceSelector: {}, clients: ["*"], scopes: ["*"]}`, "orders.read orders.write"},
		"everything, elsewhere":       {`{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: elsewhere}}, clients: ["*"], scopes: ["*"]}`, ""},
		"two rules, a scope each":     {"{namespaceSelector: " + namespaces + ", clients: [robot], scopes: [orders.read]}, {namespaceSelector: {}, clients: [robot], scopes: [orders.write]}", "orders.read orders.write"},
		"a name that is only similar": {"{namespaceSelector: {}, clients: [robo, robot2, ROBOT], scopes: [order, orders, orders.*]}", ""},
	} {
		owner.setAccess("[" + rule.rule + "]")
		eventually(t, name, enforced, func(ctx context.Context) (bool, error) {
			may, err := g.may(ctx)
			return may == rule.may, err
		})
	}
	owner.setAccess(`[{namespaceSelector: {}, clients: ["*"], scopes: ["*"]}]`)
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", owner.namespace, "--type=json", "--patch",
		`[{"op": "add", "path": "/spec/scopes/-", "value": {"name": "orders.audit", "description": "See who ordered what"}}]`)
	kubectl(t, "", "patch", "oauthclient", "robot", "-n", g.namespace, "--type=json", "--patch",
		`[{"op": "add", "path": "/spec/resources/0/scopes/-", "value": "orders.audit"}]`)
	g.areAllowed()
	if own, err := g.asks(t.Context(), "orders.audit"); err != nil || own.Scope != "orders.audit" {
		t.Errorf("a scope that came later: %q %s, %v", own.Scope, own.Error, err)
	}
}

// may is what the service is given when it asks for each scope.
func (g guests) may(ctx context.Context) (string, error) {
	if g.robot.secret == "" {
		*g.robot = *g.withCredentials(g.robot, "robot-oauth")
	}
	var given []string
	for _, scope := range []string{"orders.read", "orders.write"} {
		own, err := g.asks(ctx, scope)
		if err != nil {
			return "", err
		}
		if own.Scope != "" && own.Scope != scope {
			return "", fmt.Errorf("asked for %s, was given %s", scope, own.Scope)
		}
		if own.status == http.StatusOK {
			given = append(given, scope)
		}
	}
	return strings.Join(given, " "), nil
}

// A ResourceServer that is gone takes all access with it, and its clients say so. When it is back, so are they.
func TestDeletedResourceServerIsMissedAndComesBack(t *testing.T) {
	owner := newTenant(t)
	everybody := `{namespaceSelector: {}, clients: ["*"], scopes: ["*"]}`
	service := owner.api(everybody)
	g := newGuests(t, owner)
	g.areAllowed()
	own, err := g.asks(t.Context(), "orders.read")
	if err != nil {
		t.Fatal(err)
	}
	service.accepts(own.AccessToken)
	kubectl(t, "", "delete", "resourceserver", "orders", "-n", owner.namespace)
	eventually(t, "the token is refused", withdrawn, func(ctx context.Context) (bool, error) {
		status, err := service.ask(ctx, own.AccessToken)
		return err == nil && !status.Authenticated, err
	})
	if again, err := g.asks(t.Context(), "orders.read"); err != nil || again.AccessToken != "" {
		t.Errorf("the service is answered with %q %s, %v", again.Scope, again.Error, err)
	}
	if message := refused(t, g.clients(), "robot", "ResolvedRefs", "RefNotFound"); !strings.Contains(message, owner.namespace+"/orders") {
		t.Errorf("the message: %s", message)
	}
	owner.declareAPI(everybody)
	g.areAllowed()
	eventually(t, "the service is given tokens again", enforced, func(ctx context.Context) (bool, error) {
		again, err := g.asks(ctx, "orders.read")
		return again.Scope == "orders.read", err
	})
}
