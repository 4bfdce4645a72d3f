package e2e

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// forgotten bounds for how long the token of a ServiceAccount or a pod that is deleted may still be taken: the server and kube-apiserver
// believe for 10 s what they found out.
const forgotten = 25 * time.Second

// workload is a client without a credential of its own: tokens of a ServiceAccount are it.
type workload struct {
	*app
	tenant tenant
}

// newWorkload declares a client that any of the ServiceAccounts is, and makes these.
func newWorkload(t *testing.T, name string, accounts ...string) workload {
	t.Helper()
	n := newTenant(t)
	n.declareAPI("")
	for _, account := range accounts {
		kubectl(t, "", "create", "serviceaccount", "-n", n.namespace, account)
	}
	apply(t, `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: `+name+`, namespace: `+n.namespace+`}
spec:
  type: Confidential
  redirectURIs: [`+callback+`]
  grantTypes: [authorization_code, refresh_token, client_credentials]
  scopes: [openid]
  `+using(n)+`
  authentication: {serviceAccount: {names: [`+strings.Join(accounts, ", ")+`]}}
`)
	ready(t, n.clients(), name)
	return workload{&app{t: t, issuer: live.Issuer, id: n.namespace + "." + name, redirectURI: callback, resource: n.identifier()}, n}
}

// createToken is a token as a pod has it, or who may ask for one.
func createToken(t *testing.T, namespace, account string, more ...string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "", append([]string{"create", "token", "-n", namespace, account}, more...)...))
}

// shows sends a token request with a ServiceAccount token.
func (w workload) shows(ctx context.Context, raw string, form url.Values) (tokens, error) {
	form = maps.Clone(form)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", raw)
	return w.token(ctx, form) // which adds client_id
}

func (w workload) ownToken(ctx context.Context, raw string) (tokens, error) {
	return w.shows(ctx, raw, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "resource": {w.resource}})
}

// comesToBeAnswered waits until a token request is answered with that status.
func (w workload) comesToBeAnswered(what, raw string, limit time.Duration, status int) (last tokens) {
	w.t.Helper()
	took := eventually(w.t, what, limit, func(ctx context.Context) (bool, error) {
		var err error
		last, err = w.ownToken(ctx, raw)
		return last.status == status, err
	})
	w.t.Logf("%s: after %v", what, took)
	return last
}

func TestServiceAccountNeedsNoSecret(t *testing.T) {
	w := newWorkload(t, "robot", "robot", "robot-canary")
	audience := "--audience=" + live.Issuer
	raw := createToken(t, w.tenant.namespace, "robot", audience)
	answer := w.comesToBeAnswered("a token for the workload itself", raw, enforced, http.StatusOK)
	service := w.tenant.api("")
	if user := service.accepts(answer.AccessToken); user.Username != "oauth:client:"+w.tenant.namespace+":robot" {
		t.Errorf("the workload is reviewed as %+v", user)
	}
	r := alice(t).allow(w.ask("openid orders.read"))
	canary := createToken(t, w.tenant.namespace, "robot-canary", audience)
	code := url.Values{"grant_type": {"authorization_code"}, "code": {r.code}, "redirect_uri": {r.redirectURI}, "code_verifier": {r.verifier}}
	if answer, err := w.shows(t.Context(), canary, code); err != nil || answer.status != http.StatusOK || answer.IDToken == "" {
		t.Errorf("the code is answered with HTTP %d %s, %v", answer.status, answer.Error, err)
	}
	secrets, err := core.CoreV1().Secrets(w.tenant.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(secrets.Items) != 0 {
		t.Errorf("%d Secrets, %v", len(secrets.Items), err)
	}
	if becomes(t, w.tenant.clients(), "robot", "SecretReady", metav1.ConditionTrue, "SecretNotNeeded") == "" {
		t.Error("status does not say what the credential is")
	}
}

// Security: tokens of `kubectl create token` that are no credential of the client's.
func TestServiceAccountTokensThatAreNotTheClients(t *testing.T) {
	w, stranger := newWorkload(t, "robot", "robot"), newTenant(t)
	namespace, audience := w.tenant.namespace, "--audience="+live.Issuer
	kubectl(t, "", "create", "serviceaccount", "-n", namespace, "other")
	kubectl(t, "", "create", "serviceaccount", "-n", stranger.namespace, "robot")
	good := createToken(t, namespace, "robot", audience)
	w.comesToBeAnswered("a good one", good, enforced, http.StatusOK)
	for what, raw := range map[string]string{
		"for kube-apiserver":     createToken(t, namespace, "robot"),
		"for another issuer":     createToken(t, namespace, "robot", "--audience="+live.LocalIssuer),
		"for the API":            createToken(t, namespace, "robot", "--audience="+w.resource),
		"of another namespace":   createToken(t, stranger.namespace, "robot", audience),
		"of one that isn't it":   createToken(t, namespace, "other", audience),
		"of default":             createToken(t, namespace, "default", audience),
		"with another signature": good[:strings.LastIndexByte(good, '.')] + "." + strings.Repeat("A", 86),
	} {
		if answer, err := w.ownToken(t.Context(), raw); err != nil || answer.status != http.StatusUnauthorized || answer.Error != "invalid_client" {
			t.Errorf("a token %s is answered with HTTP %d %s, %v", what, answer.status, answer.Error, err)
		}
	}
}

// Security: a token dies with its pod, and with its ServiceAccount, even if one of the name is made again.
func TestServiceAccountTokensDieWithWhatTheyAreBoundTo(t *testing.T) {
	w := newWorkload(t, "robot", "robot", "second")
	namespace, audience, no := w.tenant.namespace, "--audience="+live.Issuer, false
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "robot"}, Spec: corev1.PodSpec{
		ServiceAccountName: "robot", AutomountServiceAccountToken: &no, Containers: []corev1.Container{{Name: "robot", Image: "registry.example/robot"}},
	}}
	if _, err := core.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ofPod := createToken(t, namespace, "robot", audience, "--bound-object-kind=Pod", "--bound-object-name=robot")
	ofAccount := createToken(t, namespace, "second", audience)
	w.comesToBeAnswered("a pod's token", ofPod, enforced, http.StatusOK)
	w.comesToBeAnswered("a ServiceAccount's token", ofAccount, enforced, http.StatusOK)
	kubectl(t, "", "delete", "pod", "-n", namespace, "robot")
	kubectl(t, "", "delete", "serviceaccount", "-n", namespace, "second")
	kubectl(t, "", "create", "serviceaccount", "-n", namespace, "second")
	w.comesToBeAnswered("the pod's token dies with it", ofPod, forgotten, http.StatusUnauthorized)
	w.comesToBeAnswered("the ServiceAccount's dies with it", ofAccount, forgotten, http.StatusUnauthorized)
	w.comesToBeAnswered("the new one's is good", createToken(t, namespace, "second", audience), enforced, http.StatusOK)
}

// What the README says of clients without a secret is taken as it stands, in a namespace with restricted pods.
func TestReadmeWithoutSecret(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(live.Root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## No secret at all\n")
	section, _, _ = strings.Cut(section, "\n## ")
	manifests := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(manifests) != 2 {
		t.Fatalf("%d manifests", len(manifests))
	}
	for _, m := range manifests {
		kubectl(t, m[1], "apply", "--server-side", "--dry-run=server", "--force-conflicts", "--warnings-as-errors", "-f", "-")
	}
}

// The sample does what the README says.
func TestSampleWithoutSecret(t *testing.T) {
	a := &app{t: t, issuer: live.LocalIssuer, id: sampleNamespace + ".photo-backup"}
	w := workload{a, tenant{t, sampleNamespace}}
	ready(t, w.tenant.clients(), "photo-backup")
	raw := createToken(t, sampleNamespace, "photo-backup", "--audience="+live.LocalIssuer)
	answer, err := w.shows(t.Context(), raw, url.Values{"grant_type": {"client_credentials"}})
	if err != nil || answer.status != http.StatusOK || answer.Scope != "photos.read" {
		t.Errorf("HTTP %d %s, %v", answer.status, answer.Error, err)
	}
}
