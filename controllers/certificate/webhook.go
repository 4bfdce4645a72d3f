package certificate

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/controllers/status"
)

const (
	// WebhookSecret holds all that kube-apiserver needs to ask Latchkey about tokens (--authentication-token-webhook-config-file): a
	// kubeconfig, and beside it the files that it names.
	WebhookSecret = "latchkey-webhook"
	// ClientAuthoritySecret holds the authority of kube-apiserver's client certificate: certificates (ca.crt), which the review listener
	// trusts, and key (ca.key).
	ClientAuthoritySecret = "latchkey-webhook-client-ca"
	// KubeconfigKey is where WebhookSecret has the kubeconfig.
	KubeconfigKey = "kubeconfig"

	reviewPath = "/apis/authentication.k8s.io/v1/tokenreviews"
)

// Webhook keeps WebhookSecret and ClientAuthoritySecret.
type Webhook struct {
	Client client.Client
	// Namespace is the operator's namespace; ServingSecret the name of the Secret in it with the review listener's certificate.
	Namespace, ServingSecret string
	// Address is host:port of the review listener as kube-apiserver reaches it. A static pod can't resolve names of Services.
	Address string
	Now     func() time.Time
}

// SetupWithManager registers the reconciler.
func (w *Webhook) SetupWithManager(mgr ctrl.Manager) error {
	return status.KeepSecrets(mgr, "webhook", w.Namespace, []string{WebhookSecret, ClientAuthoritySecret, w.ServingSecret}).Complete(w)
}

// Reconcile brings the authority, the client certificate and the kubeconfig to where they should be.
func (w *Webhook) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	s := secrets{w.Client, w.Namespace, w.Now}
	current, err := s.read(ctx, WebhookSecret)
	if err != nil {
		return ctrl.Result{}, err
	}
	if current != nil && current.Labels[status.LabelManagedBy] != status.ManagedBy {
		ctrl.LoggerFrom(ctx).Info("the Secret is not Latchkey's and is left alone; delete it to have it made", "secret", WebhookSecret)
		return ctrl.Result{}, nil
	}
	server, err := s.read(ctx, w.ServingSecret)
	if err != nil || server == nil {
		return ctrl.Result{}, err // an event tells when it is there
	}
	if err := w.write(ctx, s, current, server); err != nil {
		return status.Retry(err)
	}
	return ctrl.Result{RequeueAfter: lookAgain}, nil
}

func (w *Webhook) write(ctx context.Context, s secrets, current, server *corev1.Secret) error {
	ca, err := s.authority(ctx, ClientAuthoritySecret, calling())
	if err != nil {
		return err
	}
	data, err := s.leaf(ctx, current, ca, ClientAuthoritySecret, nil)
	if err != nil {
		return err
	}
	if bundle := server.Data[BundleKey]; len(bundle) > 0 {
		data[BundleKey] = bundle
	}
	if data[KubeconfigKey], err = kubeconfig(w.Address, len(data[BundleKey]) > 0); err != nil {
		return fmt.Errorf("kubeconfig for kube-apiserver: %w", err)
	}
	return s.write(ctx, current, WebhookSecret, corev1.SecretTypeOpaque, data)
}

// kubeconfig is how kube-apiserver reaches the reviewer. It names files beside itself, wherever it is mounted: kube-apiserver takes
// them to be relative to it, and reads them again when they change, which it doesn't do with a kubeconfig. Without a bundle, as with
// a serving certificate by a public authority, the system's own authorities are trusted.
func kubeconfig(address string, bundled bool) ([]byte, error) {
	const name = "latchkey"
	server := url.URL{Scheme: "https", Host: address, Path: reviewPath}
	cluster := &api.Cluster{Server: server.String()}
	if bundled {
		cluster.CertificateAuthority = BundleKey
	}
	config := api.NewConfig()
	config.Clusters[name] = cluster
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificate: corev1.TLSCertKey, ClientKey: corev1.TLSPrivateKeyKey}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

// Host is the host of host:port, which the serving certificate must be for; empty when address is none.
func Host(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return ""
	}
	return host
}
