package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
)

// latchkey runs the program as cluster-admin and returns what it prints.
func latchkey(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(live.CA), "bin", "latchkey"), append(args, "--kubeconfig="+live.Kubeconfig)...)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("latchkey %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	return string(out)
}

// keptIn declares an issuer of the name that keeps its grants at an address.
func keptIn(t *testing.T, name, address string) (issuer string) {
	t.Helper()
	issuer = live.Issuer + "/" + name
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: %[1]s-valkey, namespace: %[2]s}
stringData: {addresses: "%[3]s"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: %[1]s}
spec:
  issuer: %[4]s
  storage: {valkey: {secretRef: {name: %[1]s-valkey}}}
`, name, operatorNamespace, address, issuer))
	atEnd(t, "delete", "secret", "-n", operatorNamespace, name+"-valkey")
	atEnd(t, "delete", "authorizationserver", name)
	ready(t, resource("authorizationservers", ""), name)
	return issuer
}

// With Valkey a site has no OAuthGrants, and all else that it has without: the flow, reviews, revocation within a second, codes that
// work once. While Valkey is away nothing is a clean no, other issuers don't notice, and all goes on by itself.
func TestAnIssuerThatKeepsItsGrantsInValkey(t *testing.T) {
	server := valkeyserver.Start(t, valkeyserver.Options{})
	name := unique()
	issuer := keptIn(t, name, server.Address)
	if c, err := condition(t.Context(), resource("authorizationservers", ""), name, "StorageReady"); err != nil || c.Status != metav1.ConditionTrue {
		t.Fatalf("StorageReady is %+v, %v", c, err)
	}
	n := newTenant(t)
	service := n.api("")
	elsewhere := n.publicApp("elsewhere")
	servers := fmt.Sprintf(`{"spec":{"authorizationServerNames":["default","local",%q]}}`, name)
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", n.namespace, "--type=merge", "--patch", servers)
	user := newUser(t)
	kubectl(t, "", "patch", "localuser", user.name, "--type=merge", "--patch", servers)
	a := n.confidentialApp("app", name, issuer)

	answer, r := a.tokens(user, "orders.read")
	id := grantOf(t, service, answer.AccessToken)
	if objects := grantsOf(t, a); len(objects) != 0 {
		t.Errorf("there are OAuthGrants: %v", objects)
	}
	other, _ := a.tokens(user, "orders.read")
	list := latchkey(t, "grants", "list", "--user="+user.name, "--issuer="+name)
	if strings.Count(list, a.id) != 2 || !strings.Contains(list, id) || !strings.Contains(list, "orders.read") {
		t.Errorf("latchkey grants list prints\n%s", list)
	}
	if out := latchkey(t, "grants", "revoke", id); strings.TrimSpace(out) != id {
		t.Errorf("latchkey grants revoke prints %q", out)
	}
	eventually(t, "the revoked grant's token is refused", time.Second, func(ctx context.Context) (bool, error) {
		status, err := service.ask(ctx, answer.AccessToken)
		return err == nil && !status.Authenticated, err
	})
	for range 2 {
		r.isRefused("its grant was revoked")
	}
	service.accepts(other.AccessToken)

	during(t, server, service, a, user, other.AccessToken)
	fine, _ := elsewhere.tokens(alice(t), "orders.read")
	objects := grantsOf(t, elsewhere)
	if list := latchkey(t, "grants", "list", "--client="+elsewhere.id); len(objects) != 1 || !strings.Contains(list, objects[0]) {
		t.Errorf("of grants that Kubernetes keeps, %v, latchkey grants list prints\n%s", objects, list)
	}
	latchkey(t, "grants", "revoke", "--client="+elsewhere.id)
	service.comesToRefuse("latchkey grants revoke", fine.AccessToken)
}

// during is what is seen while Valkey is away, and after.
func during(t *testing.T, server *valkeyserver.Server, service reviewer, a *app, user *person, token string) {
	t.Helper()
	waiting := user.allow(a.ask("orders.read"))
	server.Kill(t)
	eventually(t, "a review can't be answered", time.Second, func(ctx context.Context) (bool, error) {
		status, err := service.ask(ctx, token)
		if err == nil && !status.Authenticated {
			return false, fmt.Errorf("a grant that can't be read is a clean no: %+v", status)
		}
		return err != nil, nil
	})
	refused, err := waiting.redeem(t.Context())
	if err != nil || refused.status != http.StatusServiceUnavailable || refused.Error != "temporarily_unavailable" {
		t.Errorf("a code is answered with HTTP %d %s, %v", refused.status, refused.Error, err)
	}
	server.Restart(t)
	eventually(t, "the code is redeemed after all", patience, func(ctx context.Context) (bool, error) {
		answer, err := waiting.redeem(ctx)
		return answer.status == http.StatusOK, err
	})
	waiting.isRefused("it was redeemed")
}
