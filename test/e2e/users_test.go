package e2e

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"
)

func TestDisabledUserIsSignedOut(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	user := newUser(t)
	answer, _ := a.tokens(user, "orders.read")
	service.accepts(answer.AccessToken)
	pending := user.allow(a.ask("orders.read"))

	kubectl(t, "", "patch", "localuser", user.name, "--type=merge", "--patch", `{"spec":{"disabled":true}}`)
	service.comesToRefuse("the user was disabled", answer.AccessToken)
	pending.isRefused("the user was disabled")
	r := a.ask("orders.read")
	page := user.open(r)
	if met := describe(page, r); met != signInPage {
		t.Fatalf("the user's browser meets %s", met)
	}
	if met := describe(user.signIn(page, r), r); met != signInPage {
		t.Errorf("after signing in, the user meets %s", met)
	}
	disabled(t, resource("localusers", ""), user.name)
}

func TestChangedPasswordEndsSessionsAndCodes(t *testing.T) {
	n := newTenant(t)
	n.api("")
	a := n.publicApp("app")
	user := newUser(t)
	pending := user.allow(a.ask("orders.read"))
	r := a.ask("orders.read")
	if met := describe(user.open(r), r); met != consentPage {
		t.Fatalf("signed in, the user meets %s", met)
	}

	setPassword(t, user.name, "bob")
	took := eventually(t, "the session is over", enforced, sessionIsOver(user, a))
	t.Logf("the session was over %v after the Secret was applied", took)
	pending.isRefused("the password was changed")
	page := user.open(r)
	if met := describe(user.signIn(page, r), r); met != signInPage {
		t.Errorf("with the old password, the user meets %s", met)
	}
	user.password = "builder"
	a.tokens(user, "orders.read")
}

// A user who is deleted and declared again under the name is a stranger to everything that the first one had.
func TestRecreatedUserIsAnotherOne(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	user := newUser(t)
	answer, _ := a.tokens(user, "orders.read")
	service.accepts(answer.AccessToken)
	pending := user.allow(a.ask("orders.read"))

	manifest := kubectl(t, "", "get", "localuser", user.name, "-o", "yaml")
	kubectl(t, "", "delete", "localuser", user.name)
	kubectl(t, withoutIdentity(t, manifest), "create", "-f", "-")
	user.canSignIn()
	service.refuses("the user was created again", answer.AccessToken)
	pending.isRefused("the user was created again")
	if over, err := sessionIsOver(user, a)(t.Context()); err != nil || !over {
		t.Errorf("the session of the one before is over: %v, %v", over, err)
	}
	fresh, _ := a.tokens(user, "orders.read")
	service.accepts(fresh.AccessToken)
}

// sessionIsOver is true once the user would have to sign in.
func sessionIsOver(user *person, a *app) wait.ConditionWithContextFunc {
	return func(ctx context.Context) (bool, error) {
		r := a.ask("orders.read")
		page, err := follow(ctx, user.browser, r)
		return err == nil && describe(page, r) == signInPage, err
	}
}

// withoutIdentity is the manifest of an object without what says which one it is.
func withoutIdentity(t *testing.T, manifest string) string {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(manifest), &o); err != nil {
		t.Fatal(err)
	}
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		t.Fatalf("no metadata in %s", manifest)
	}
	kept := map[string]any{"name": metadata["name"]}
	if namespace, ok := metadata["namespace"]; ok {
		kept["namespace"] = namespace
	}
	o["metadata"] = kept
	delete(o, "status")
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Whatever object says so, what was issued before the time is refused within a second, and what is issued afterwards is good. The time
// is in whole seconds: the next one has begun when the patch is sent.
func TestRevokeTokensIssuedBefore(t *testing.T) {
	for what, kind := range map[string]string{"a user's": "localuser", "a client's": "oauthclient"} {
		t.Run(kind, func(t *testing.T) {
			n := newTenant(t)
			service := n.api("")
			a := n.publicApp("app")
			user := newUser(t)
			answer, _ := a.tokens(user, "orders.read")
			service.accepts(answer.AccessToken)
			pending := user.allow(a.ask("orders.read"))

			object := map[string][]string{"localuser": {user.name}, "oauthclient": {"app", "-n", n.namespace}}[kind]
			now := nextSecond(t)
			kubectl(t, "", append([]string{"patch", kind, "--type=merge", "--patch", `{"spec":{"revokeTokensIssuedBefore":"` + now.Format(time.RFC3339) + `"}}`}, object...)...)
			service.comesToRefuse("revokeTokensIssuedBefore was "+what, answer.AccessToken)
			pending.isRefused("it was issued before")
			if kind == "localuser" {
				eventually(t, "the session is over", enforced, sessionIsOver(user, a))
			}
			answer, _ = a.tokens(newPerson(t, user.name, user.password), "orders.read")
			service.accepts(answer.AccessToken)
		})
	}
}

// nextSecond waits until the clock shows another second than now.
func nextSecond(t *testing.T) time.Time {
	t.Helper()
	begin := time.Now().Truncate(time.Second)
	eventually(t, "the second is over", 2*time.Second, func(context.Context) (bool, error) { return time.Now().Truncate(time.Second).After(begin), nil })
	return begin.Add(time.Second).UTC()
}

// Who has a copy of the user's cookies is signed out with the user, and so is every application, within a second.
func TestSignOutEverywhereWithAStolenCookie(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	a := n.publicApp("app")
	user := newUser(t)
	answer, _ := a.tokens(user, "orders.read")
	service.accepts(answer.AccessToken)
	issuer, err := url.Parse(a.issuer)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := user.browser.Copy(issuer)
	if err != nil {
		t.Fatal(err)
	}
	thief := &person{t, user.name, user.password, copied}

	page, err := user.browser.Get(t.Context(), a.issuer+"/logout")
	if err != nil {
		t.Fatal(err)
	}
	user.press(page, a.ask("orders.read"), "sign-out-everywhere", nil)
	service.comesToRefuse("the user signed out everywhere", answer.AccessToken)
	eventually(t, "the thief is signed out", enforced, sessionIsOver(thief, a))
	if out := kubectl(t, "", "get", "oauthsignouts", "-n", operatorNamespace); !strings.Contains(out, user.name) {
		t.Errorf("kubectl get oauthsignouts: %s", out)
	}
	answer, _ = a.tokens(newPerson(t, user.name, user.password), "orders.read")
	service.accepts(answer.AccessToken)
}
