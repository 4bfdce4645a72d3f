// Package workloadtest has, for tests, ServiceAccounts of a real control plane that call Latchkey, and Callers that ask its
// kube-apiserver about them.
package workloadtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/workload"
)

// Names in the cluster.
const (
	// OperatorNamespace and ServerAccount are where and as whom the server runs.
	OperatorNamespace = "latchkey-system"
	ServerAccount     = "latchkey-server"
	// Namespace is the photos' team's, where the callers are.
	Namespace = "demo"
)

// Cluster is a control plane with callers.
type Cluster struct {
	*controlplane.ControlPlane
	admin clientgo.Interface
}

// New makes what all tests share: the server's ServiceAccount with no more rights than asking about callers takes, and the
// callers' namespace.
func New(cp *controlplane.ControlPlane) (*Cluster, error) {
	admin, err := clientgo.NewForConfig(cp.RESTConfig())
	if err != nil {
		return nil, err
	}
	c := &Cluster{ControlPlane: cp, admin: admin}
	return c, c.prepare(context.Background())
}

func (c *Cluster) prepare(ctx context.Context) error {
	for _, name := range []string{OperatorNamespace, Namespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := c.admin.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: ServerAccount}}
	if _, err := c.admin.CoreV1().ServiceAccounts(OperatorNamespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: ServerAccount}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}}
	if _, err := c.admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := c.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ServerAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: ServerAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: OperatorNamespace, Name: ServerAccount}},
	}, metav1.CreateOptions{})
	return err
}

// Wire counts the requests to kube-apiserver by the last segment of their path.
type Wire struct {
	next  http.RoundTripper
	mu    sync.Mutex
	count map[string]int
	// held is what the body of a request contains that has to wait until released is closed.
	held     string
	released chan struct{}
}

// Hold keeps requests whose body contains held waiting until the test calls release. It has to be called before there are requests.
func (w *Wire) Hold(held string) (release func()) {
	w.held, w.released = held, make(chan struct{})
	return sync.OnceFunc(func() { close(w.released) })
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.count[filepath.Base(r.URL.Path)]++
	w.mu.Unlock()
	if w.released != nil {
		if err := w.hold(r); err != nil {
			return nil, err
		}
	}
	return w.next.RoundTrip(r)
}

func (w *Wire) hold(r *http.Request) error {
	body, err := r.GetBody()
	if err != nil {
		return err
	}
	content, err := io.ReadAll(body)
	if err != nil || !bytes.Contains(content, []byte(w.held)) {
		return err
	}
	select {
	case <-w.released:
		return nil
	case <-r.Context().Done():
		return context.Cause(r.Context())
	}
}

// Requests is how many there were for the resource, in the plural.
func (w *Wire) Requests(resource string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[resource]
}

// Callers asks kube-apiserver as the server's ServiceAccount; its requests are counted. ours are the issuers of the server.
func (c *Cluster) Callers(tb testing.TB, now func() time.Time, ours ...string) (*workload.Callers, *Wire) {
	tb.Helper()
	return c.CallersOf(tb, func(issuer string) bool { return slices.Contains(ours, issuer) }, now)
}

// CallersOf is Callers for a server whose issuers come and go.
func (c *Cluster) CallersOf(tb testing.TB, ours func(issuer string) bool, now func() time.Time) (*workload.Callers, *Wire) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "kubeconfig")
	if _, err := c.ServiceAccountKubeconfig(tb.Context(), OperatorNamespace, ServerAccount, file, time.Hour); err != nil {
		tb.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wire{count: map[string]int{}}
	config.QPS = -1
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.next = next
		return w
	})
	client, err := clientgo.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return workload.NewCallers(client.AuthenticationV1().TokenReviews(), client.AuthorizationV1().SubjectAccessReviews(), ours, now), w
}

// Account makes a ServiceAccount and returns its name.
func (c *Cluster) Account(tb testing.TB) string {
	tb.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{GenerateName: "service-"}}
	account, err := c.admin.CoreV1().ServiceAccounts(Namespace).Create(tb.Context(), account, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return account.Name
}

// Remove deletes a ServiceAccount.
func (c *Cluster) Remove(tb testing.TB, account string) {
	tb.Helper()
	if err := c.admin.CoreV1().ServiceAccounts(Namespace).Delete(tb.Context(), account, metav1.DeleteOptions{}); err != nil {
		tb.Fatal(err)
	}
}

// NamedAccount makes the ServiceAccount of that name, in a namespace that is made when it is not there.
func (c *Cluster) NamedAccount(tb testing.TB, namespace, name string) {
	tb.Helper()
	_, err := c.admin.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.admin.CoreV1().ServiceAccounts(namespace).Create(tb.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatal(err)
	}
}

// TokenIn is Token for a ServiceAccount of another namespace.
func (c *Cluster) TokenIn(tb testing.TB, namespace, account string, audiences ...string) string {
	tb.Helper()
	raw, _, err := c.ServiceAccountToken(tb.Context(), namespace, account, audiences, 10*time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// PodToken is the token that kubelet projects into a pod of the ServiceAccount. It is that of a pod of its own, which remove deletes.
func (c *Cluster) PodToken(tb testing.TB, account, audience string) (raw string, remove func()) {
	tb.Helper()
	no := false
	pod, err := c.admin.CoreV1().Pods(Namespace).Create(tb.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: account + "-"},
		Spec: corev1.PodSpec{
			ServiceAccountName: account, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "app", Image: "registry.example/app"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences:      []string{audience},
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	answer, err := c.admin.CoreV1().ServiceAccounts(Namespace).CreateToken(tb.Context(), account, request, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	return answer.Status.Token, func() {
		tb.Helper()
		if err := c.admin.CoreV1().Pods(Namespace).Delete(tb.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
}

// Resign is the token with other claims, signed by kube-apiserver's key.
func (c *Cluster) Resign(tb testing.TB, raw string, change func(claims map[string]any)) string {
	tb.Helper()
	again, err := c.ResignServiceAccountToken(raw, change)
	if err != nil {
		tb.Fatal(err)
	}
	return again
}

// Token is a token of a ServiceAccount for the audiences; none: kube-apiserver's own.
func (c *Cluster) Token(tb testing.TB, account string, audiences ...string) string {
	tb.Helper()
	return c.TokenIn(tb, Namespace, account, audiences...)
}

func rules(verb string, names []string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"oauth.latchkey.io"}, Resources: []string{"resourceservers"}, Verbs: []string{verb}, ResourceNames: names}}
}

func subjects(account string) []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: Namespace, Name: account}}
}

// await waits until kube-apiserver's authorizer, which follows RBAC as a watcher does, knows of a right.
func (c *Cluster) await(tb testing.TB, account string, asked authorizationv1.ResourceAttributes) {
	tb.Helper()
	asked.Group, asked.Resource = "oauth.latchkey.io", "resourceservers"
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + Namespace + ":" + account, ResourceAttributes: &asked,
	}}
	err := wait.PollUntilContextTimeout(tb.Context(), 5*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		answer, err := c.admin.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	if err != nil {
		tb.Fatalf("%s has no right to %s %s: %v", account, asked.Verb, asked.Name, err)
	}
}

// Allow lets a ServiceAccount do a verb to ResourceServers of its namespace: all, or those named. It counts when Allow returns.
func (c *Cluster) Allow(tb testing.TB, account, verb string, names ...string) {
	tb.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "reviewer-"}, Rules: rules(verb, names)}
	role, err := c.admin.RbacV1().Roles(Namespace).Create(tb.Context(), role, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	_, err = c.admin.RbacV1().RoleBindings(Namespace).Create(tb.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects(account),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	asked := authorizationv1.ResourceAttributes{Verb: verb, Namespace: Namespace, Name: "any"}
	if len(names) > 0 {
		asked.Name = names[0]
	}
	c.await(tb, account, asked)
}

// AllowEverywhere lets a ServiceAccount review tokens for every ResourceServer of the cluster. It counts when it returns.
func (c *Cluster) AllowEverywhere(tb testing.TB, account string) {
	tb.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "reviewer-"}, Rules: rules("review", nil)}
	role, err := c.admin.RbacV1().ClusterRoles().Create(tb.Context(), role, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	_, err = c.admin.RbacV1().ClusterRoleBindings().Create(tb.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects(account),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	c.await(tb, account, authorizationv1.ResourceAttributes{Verb: "review", Namespace: "any", Name: "any"})
}
