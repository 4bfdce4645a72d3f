package certificate

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/status"
)

const (
	// AuthoritySecret holds the authority's certificates (ca.crt) and key (ca.key). Only the controller reads it.
	AuthoritySecret = "latchkey-serving-ca"

	// lookAgain bounds the time between two looks at the dates.
	lookAgain = 12 * time.Hour
)

// Reconciler keeps the serving certificate.
type Reconciler struct {
	Client client.Client
	// Namespace is the operator's namespace; ServingSecret the name of the kubernetes.io/tls Secret in it.
	Namespace, ServingSecret string
	// Names are DNS names and IP addresses that the certificate is for besides the hosts of the https issuers.
	Names []string
	Now   func() time.Time
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	secrets := []string{r.ServingSecret, AuthoritySecret}
	return status.KeepSecrets(mgr, "servingcertificate", r.Namespace, secrets, &v1alpha1.AuthorizationServer{}).Complete(r)
}

// Reconcile brings the authority and the serving certificate to where they should be.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	current, err := r.secrets().read(ctx, r.ServingSecret)
	if err != nil {
		return ctrl.Result{}, err
	}
	if current != nil && current.Labels[status.LabelManagedBy] != status.ManagedBy {
		return ctrl.Result{}, nil // somebody else's, cert-manager's perhaps
	}
	wanted, err := r.names(ctx)
	if err != nil || len(wanted) == 0 {
		return ctrl.Result{}, err
	}
	ca, err := r.secrets().authority(ctx, AuthoritySecret, serving())
	if err != nil {
		return status.Retry(err)
	}
	if err := r.serve(ctx, current, ca, wanted); err != nil {
		return status.Retry(err)
	}
	return ctrl.Result{RequeueAfter: lookAgain}, nil
}

func (r *Reconciler) names(ctx context.Context) ([]string, error) {
	var list v1alpha1.AuthorizationServerList
	if err := r.Client.List(ctx, &list); err != nil {
		return nil, err
	}
	issuers := make([]string, len(list.Items))
	for i := range list.Items {
		issuers[i] = list.Items[i].Spec.Issuer
	}
	return names(issuers, r.Names), nil
}

func (r *Reconciler) secrets() secrets { return secrets{r.Client, r.Namespace, r.Now} }

// serve keeps the serving Secret: a good certificate, and the bundle to verify it with.
func (r *Reconciler) serve(ctx context.Context, secret *corev1.Secret, ca *authority, wanted []string) error {
	data, err := r.secrets().leaf(ctx, secret, ca, AuthoritySecret, wanted)
	if err != nil {
		return err
	}
	data[BundleKey] = ca.bundle()
	return r.secrets().write(ctx, secret, r.ServingSecret, corev1.SecretTypeTLS, data)
}
