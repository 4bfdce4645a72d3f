package review_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgo "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/server/review"
)

var (
	cluster *controlplane.ControlPlane
	// webhook is what kube-apiserver reaches at its webhook's URL; tests put their handler there.
	webhook delegate
)

// delegate is a handler that can be exchanged.
type delegate struct {
	current atomic.Pointer[review.Handler]
}

func (d *delegate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := d.current.Load(); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no test has put a handler here", http.StatusServiceUnavailable)
}

func TestMain(m *testing.M) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	options := controlplane.Options{NoControllerManager: true, ReviewURL: "https://" + socket.Addr().String() + v1Path}
	os.Exit(controlplane.Main(m, options, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		if err := serveWebhook(cp, socket); err != nil {
			return err
		}
		return prepare(cp)
	}))
}

// serveWebhook listens as the server does: a client certificate is asked for and verified, and not required.
func serveWebhook(cp *controlplane.ControlPlane, socket net.Listener) error {
	certificate, err := tls.LoadX509KeyPair(cp.Review.ServerCert, cp.Review.ServerKey)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(cp.Review.ClientCA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	server := &http.Server{Handler: &webhook, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven,
	}}
	go func() {
		if err := server.ServeTLS(socket, "", ""); err != nil {
			slog.Info("the review listener has ended", "error", err)
		}
	}()
	return nil
}

const (
	operatorNamespace = "latchkey-system"
	serverAccount     = "latchkey-server"
)

// prepare makes what all tests share: the server's ServiceAccount with no more rights than the reviewer needs, and the namespace of
// the photos' team.
func prepare(cp *controlplane.ControlPlane) error {
	client, err := clientgo.NewForConfig(cp.RESTConfig())
	if err != nil {
		return err
	}
	ctx := context.Background()
	for _, name := range []string{operatorNamespace, "demo"} {
		if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: serverAccount}}
	if _, err := client.CoreV1().ServiceAccounts(operatorNamespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: serverAccount}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	}}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: serverAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: serverAccount},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operatorNamespace, Name: serverAccount}},
	}, metav1.CreateOptions{})
	return err
}

// wire counts the requests to kube-apiserver by the last segment of their path.
type wire struct {
	http.RoundTripper
	mu    sync.Mutex
	count map[string]int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.count[filepath.Base(r.URL.Path)]++
	w.mu.Unlock()
	return w.RoundTripper.RoundTrip(r)
}

func (w *wire) requests(resource string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[resource]
}

// newCallers asks kube-apiserver as the server's ServiceAccount, whose requests are counted.
func newCallers(t *testing.T, cp *controlplane.ControlPlane, now func() time.Time) (*review.Callers, *wire) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if _, err := cp.ServiceAccountKubeconfig(t.Context(), operatorNamespace, serverAccount, file, time.Hour); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{count: map[string]int{}}
	config.QPS = -1
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.RoundTripper = next
		return w
	})
	client, err := clientgo.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return review.NewCallers(client.AuthenticationV1().TokenReviews(), client.AuthorizationV1().SubjectAccessReviews(), now), w
}

// clientset is a client with another identity: none but a bearer token, or cluster-admin when it is empty.
func clientset(t *testing.T, cp *controlplane.ControlPlane, bearer string) *clientgo.Clientset {
	t.Helper()
	config := cp.RESTConfig()
	if bearer != "" {
		config = rest.AnonymousClientConfig(config)
		config.BearerToken = bearer
	}
	client, err := clientgo.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newAccount makes a ServiceAccount in demo.
func newAccount(t *testing.T) string {
	t.Helper()
	account, err := clientset(t, cluster, "").CoreV1().ServiceAccounts("demo").Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{GenerateName: "service-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return account.Name
}

// allow lets a ServiceAccount of demo do a verb to ResourceServers of demo: all, or those named.
func allow(t *testing.T, account, verb string, names ...string) {
	t.Helper()
	client := clientset(t, cluster, "").RbacV1()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "reviewer-"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"oauth.latchkey.io"}, Resources: []string{"resourceservers"}, Verbs: []string{verb}, ResourceNames: names},
	}}
	role, err := client.Roles("demo").Create(t.Context(), role, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.RoleBindings("demo").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "demo", Name: account}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// allowEverywhere lets a ServiceAccount of demo review tokens for every ResourceServer.
func allowEverywhere(t *testing.T, account string) {
	t.Helper()
	client := clientset(t, cluster, "").RbacV1()
	role, err := client.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "reviewer-"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"oauth.latchkey.io"}, Resources: []string{"resourceservers"}, Verbs: []string{"review"}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "demo", Name: account}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func accountToken(t *testing.T, account string, audiences ...string) string {
	t.Helper()
	raw, _, err := cluster.ServiceAccountToken(t.Context(), "demo", account, audiences, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// kubectlWith runs kubectl with a bearer token and no other credential.
func kubectlWith(t *testing.T, raw string, args ...string) (string, error) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData, user.Token = nil, nil, raw
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	out, _, err := cluster.Kubectl(t.Context(), append([]string{"--kubeconfig=" + file}, args...)...)
	return strings.TrimSpace(out), err
}
