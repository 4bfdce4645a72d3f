package authentication

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// SecretName is the Secret with the AuthenticationConfiguration (kube-apiserver's --authentication-config). It holds nothing that is
	// secret; it is one because it says whom a cluster believes, and stands beside the other one for kube-apiserver.
	SecretName = "latchkey-authentication-configuration"
	// ConfigKey is where the Secret has the configuration for a kube-apiserver that reaches the listener for TokenReviews.
	ConfigKey = "config.yaml"
	// PublicKey is where it has that for one that reaches the issuers at their own URLs alone, and trusts their certificates.
	PublicKey = "public.yaml"

	bundleKey = "ca.crt"
)

// Reconciler keeps the Secret. Its errors leave what is in it: a configuration that kube-apiserver refuses would keep it from starting.
type Reconciler struct {
	Client client.Client
	// Namespace is the operator's namespace; ServingSecret the name of the Secret in it with the review listener's certificate.
	Namespace, ServingSecret string
	// Address is host:port of the review listener as kube-apiserver reaches it.
	Address string
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	secrets := []string{SecretName, r.ServingSecret}
	return status.KeepSecrets(mgr, "authenticationconfiguration", r.Namespace, secrets, &v1alpha1.AuthorizationServer{}).Complete(r)
}

// Reconcile brings the Secret to where it should be.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	current, err := r.secret(ctx, SecretName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if current != nil && current.Labels[status.LabelManagedBy] != status.ManagedBy {
		ctrl.LoggerFrom(ctx).Info("the Secret is not Latchkey's and is left alone; delete it to have it made", "secret", SecretName)
		return ctrl.Result{}, nil
	}
	serving, err := r.secret(ctx, r.ServingSecret)
	if err != nil || serving == nil {
		return ctrl.Result{}, err // an event tells when it is there
	}
	data, err := r.data(ctx, serving.Data[bundleKey])
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.write(ctx, current, data); err != nil {
		return status.Retry(err)
	}
	return ctrl.Result{}, nil
}

func (r *Reconciler) data(ctx context.Context, bundle []byte) (map[string][]byte, error) {
	if len(bundle) > 0 && !x509.NewCertPool().AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("Secret %s: %s holds no certificate", r.ServingSecret, bundleKey)
	}
	issuers, err := r.issuers(ctx)
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for key, at := range map[string]At{ConfigKey: {Address: r.Address, Bundle: bundle}, PublicKey: {}} {
		if data[key], err = Configuration(issuers, at); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// issuers are those whose tokens kube-apiserver can verify, by name. Of too many, those that were declared first.
func (r *Reconciler) issuers(ctx context.Context) ([]*registry.Config, error) {
	world := compile.NewReader(ctx, r.Client, r.Namespace)
	declared := slices.Clone(world.AuthorizationServers())
	slices.SortFunc(declared, func(a, b *v1alpha1.AuthorizationServer) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	var issuers []*registry.Config
	for _, as := range declared {
		config, _ := compile.AuthorizationServer(world, as) // status tells of the problems
		switch {
		case config == nil || len(config.KubernetesAudiences) == 0 || compile.NotVerifiable(config) != nil:
		case len(issuers) == maxIssuers:
			ctrl.LoggerFrom(ctx).Info("kube-apiserver takes no more issuers: one is left out of its AuthenticationConfiguration", "authorizationServer", as.Name)
		default:
			issuers = append(issuers, config)
		}
	}
	slices.SortFunc(issuers, func(a, b *registry.Config) int { return strings.Compare(a.Name, b.Name) })
	return issuers, world.Err()
}

// secret returns a Secret of the operator's namespace, nil when it does not exist.
func (r *Reconciler) secret(ctx context.Context, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil // absent is no error
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return &secret, nil
}

// write creates the Secret, or updates it if it has other data and nobody else has since it was read.
func (r *Reconciler) write(ctx context.Context, current *corev1.Secret, data map[string][]byte) error {
	if current == nil {
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: SecretName, Labels: map[string]string{status.LabelManagedBy: status.ManagedBy}},
			Type:       corev1.SecretTypeOpaque, Data: data,
		}
		if err := r.Client.Create(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
			return fmt.Errorf("create Secret %s: %w", SecretName, err)
		}
		return nil
	}
	if maps.EqualFunc(current.Data, data, bytes.Equal) {
		return nil
	}
	secret := current.DeepCopy()
	secret.Data = data
	if err := r.Client.Update(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("update Secret %s: %w", SecretName, err)
	}
	return nil
}
