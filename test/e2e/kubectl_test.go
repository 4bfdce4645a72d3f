package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// webhookCache is for how long kube-apiserver may believe an answer: its cache's second, and the ten that it adds when it is
// not sure.
const webhookCache = 20 * time.Second

// kubectlApp is OAuthClient kubectl of the samples, on a loopback port of its choice.
func kubectlApp(t *testing.T) *app {
	t.Helper()
	return &app{t: t, issuer: live.Issuer, id: "demo.kubectl", redirectURI: "http://127.0.0.1:53682/callback"}
}

// bareKubeconfig names the cluster and nobody: beside a client certificate a token would not even be looked at.
func bareKubeconfig(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(live.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = api.NewAuthInfo()
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// bearer runs kubectl with nothing but a token.
type bearer struct{ kubeconfig, token string }

func (b bearer) kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := live.Kubectl(ctx, "", append([]string{"--kubeconfig", b.kubeconfig, "--token", b.token}, args...)...)
	if err != nil {
		err = fmt.Errorf("%w", &withoutToken{err, b.token})
	}
	return out, err
}

// withoutToken keeps a token out of a test's log.
type withoutToken struct {
	error
	token string
}

func (e *withoutToken) Error() string { return strings.ReplaceAll(e.error.Error(), e.token, "...") }

func (b bearer) whoami(t *testing.T) authenticationv1.UserInfo {
	t.Helper()
	out, err := b.kubectl(t.Context(), "auth", "whoami", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var answer authenticationv1.SelfSubjectReview
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Status.UserInfo
}

// isNobody fails the test unless kube-apiserver answers 401.
func (b bearer) isNobody(t *testing.T, why string) {
	t.Helper()
	if out, err := b.kubectl(t.Context(), "auth", "whoami"); err == nil || !strings.Contains(out, "Unauthorized") {
		t.Errorf("%s: kube-apiserver answers %s, %v", why, out, err)
	}
}

func TestKubectlWhoAmI(t *testing.T) {
	answer, _ := kubectlApp(t).tokens(alice(t), "openid groups kubernetes")
	bare := bareKubeconfig(t)
	user := bearer{bare, answer.AccessToken}.whoami(t)
	object, err := resource("localusers", "").Get(t.Context(), "alice", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if user.Username != "oauth:alice" || user.UID != string(object.GetUID()) {
		t.Errorf("the user is %q with uid %q", user.Username, user.UID)
	}
	groups := slices.Sorted(slices.Values(user.Groups))
	if !slices.Equal(groups, []string{"oauth:photographers", "system:authenticated"}) {
		t.Errorf("the groups are %v", groups)
	}
	for key, want := range map[string]string{"client-id": "demo.kubectl", "issuer": live.Issuer} {
		if got := user.Extra["oauth.latchkey.io/"+key]; !slices.Equal(got, []string{want}) {
			t.Errorf("extra %s is %v", key, got)
		}
	}
	if scopes := user.Extra["oauth.latchkey.io/scope"]; !slices.Contains(scopes, "kubernetes") {
		t.Errorf("extra scope is %v", scopes)
	}
	bearer{bare, answer.IDToken}.isNobody(t, "an ID token")
	bearer{bare, answer.AccessToken + "A"}.isNobody(t, "a token with a signature that is not its own")
}

// What a client may have by RBAC is for whom the prefixed names say, and for nobody else.
func TestKubectlWithRBAC(t *testing.T) {
	answer, _ := kubectlApp(t).tokens(alice(t), "kubernetes")
	caller := bearer{bareKubeconfig(t), answer.AccessToken}
	if out, err := caller.kubectl(t.Context(), "get", "oauthclients", "-n", sampleNamespace); err != nil || !strings.Contains(out, "print-shop") {
		t.Errorf("the group's RoleBinding: %s, %v", out, err)
	}
	n := newTenant(t)
	forbidden := func(args ...string) {
		t.Helper()
		if out, err := caller.kubectl(t.Context(), args...); err == nil || !strings.Contains(out, "(Forbidden)") {
			t.Errorf("kubectl %v: %s, %v", args, out, err)
		}
	}
	forbidden("get", "configmaps", "-n", n.namespace)
	kubectl(t, "", "create", "role", "reader", "-n", n.namespace, "--verb=list", "--resource=configmaps")
	kubectl(t, "", "create", "rolebinding", "reader", "-n", n.namespace, "--role=reader", "--user=oauth:alice")
	eventually(t, "the user's RoleBinding works", patience, func(ctx context.Context) (bool, error) {
		_, err := caller.kubectl(ctx, "get", "configmaps", "-n", n.namespace)
		return err == nil, nil
	})
	forbidden("get", "secrets", "-n", n.namespace)
	forbidden("get", "secrets", "-n", operatorNamespace)

	kubectl(t, "", "create", "rolebinding", "impostor", "-n", n.namespace, "--clusterrole=admin", "--user=alice", "--group=photographers")
	forbidden("get", "secrets", "-n", n.namespace)
}

// A token for one API is none for kube-apiserver, even where the issuer, the user and the namespace are the same.
func TestAPhotosTokenIsNoClusterCredential(t *testing.T) {
	demo := tenant{t, sampleNamespace}
	name := unique()
	demo.declare(name, public(), redirects(callback), "resources: [{namespace: demo, name: photos, scopes: [photos.read]}]")
	atEnd(t, "delete", "oauthclient", "-n", sampleNamespace, name)
	ready(t, demo.clients(), name)
	a := &app{t: t, issuer: live.Issuer, id: "demo." + name, redirectURI: callback, resource: "https://photos.demo.svc"}
	a.isHonoured("photos.read")
	answer, _ := a.tokens(alice(t), "openid photos.read")
	newReviewer(t, sampleNamespace, "photos", a.resource).accepts(answer.AccessToken)
	bare := bareKubeconfig(t)
	bearer{bare, answer.AccessToken}.isNobody(t, "a photos token")

	shop := tenant{t, sampleNamespace}.withCredentials(
		&app{t: t, issuer: live.LocalIssuer, redirectURI: live.PrintShop + "/callback", resource: a.resource}, "print-shop-oauth")
	answer, _ = shop.tokens(alice(t), "openid photos.read")
	bearer{bare, answer.AccessToken}.isNobody(t, "a photos token of an issuer that kube-apiserver is nothing to")

	a.resource = ""
	if met, err := a.meets(t.Context(), "kubernetes"); err != nil || met != "redirect: invalid_scope" {
		t.Errorf("a client that is not on the list meets %q, %v", met, err)
	}
	a.resource = "https://kubernetes.default.svc.cluster.local"
	if met, err := a.meets(t.Context(), "openid"); err != nil || met != "redirect: invalid_target" {
		t.Errorf("a client that is not on the list, asking for the audience, meets %q, %v", met, err)
	}
}

func TestDeletedGrantIsRefusedByKubeAPIServer(t *testing.T) {
	answer, _ := kubectlApp(t).tokens(alice(t), "kubernetes")
	caller := bearer{bareKubeconfig(t), answer.AccessToken}
	grants := caller.whoami(t).Extra["oauth.latchkey.io/grant-id"]
	if len(grants) != 1 {
		t.Fatalf("extra grant-id is %v", grants)
	}
	kubectl(t, "", "delete", "oauthgrant", "-n", operatorNamespace, grants[0])
	took := eventually(t, "kube-apiserver refuses the token", webhookCache, func(ctx context.Context) (bool, error) {
		out, err := caller.kubectl(ctx, "auth", "whoami")
		if err != nil && !strings.Contains(out, "Unauthorized") {
			return false, err
		}
		return err != nil, nil
	})
	t.Logf("refused %v after `kubectl delete oauthgrant` returned", took)
}
