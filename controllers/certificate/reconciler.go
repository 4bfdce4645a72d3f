package certificate

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/status"
)

const (
	// AuthoritySecret holds the authority's certificates (ca.crt) and key (ca.key). Only the controller reads it.
	AuthoritySecret = "latchkey-serving-ca"

	authorityKey = "ca.key"
	bundleKey    = "ca.crt"

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
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: r.Namespace, Name: r.ServingSecret}}
	toRequest := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []ctrl.Request { return []ctrl.Request{request} })
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return o.GetName() == r.ServingSecret || o.GetName() == AuthoritySecret
	})
	// Where there is nothing yet, no event starts us.
	start := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		queue.Add(request)
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).Named("servingcertificate").
		WatchesRawSource(start).
		Watches(&corev1.Secret{}, toRequest, builder.WithPredicates(ours)).
		Watches(&v1alpha1.AuthorizationServer{}, toRequest, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{RateLimiter: status.Backoff()}).
		Complete(r)
}

// Reconcile brings the authority and the serving certificate to where they should be.
func (r *Reconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	serving, err := r.read(ctx, r.ServingSecret)
	if err != nil {
		return ctrl.Result{}, err
	}
	if serving != nil && serving.Labels[status.LabelManagedBy] != status.ManagedBy {
		return ctrl.Result{}, nil // somebody else's, cert-manager's perhaps
	}
	wanted, err := r.names(ctx)
	if err != nil || len(wanted) == 0 {
		return ctrl.Result{}, err
	}
	ca, err := r.authority(ctx)
	if err != nil {
		return status.Retry(err)
	}
	if err := r.serve(ctx, serving, ca, wanted); err != nil {
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

// authority reads the authority and renews it. One that somebody else put there is used as it is. One of ours that can't be read
// is replaced.
func (r *Reconciler) authority(ctx context.Context) (*authority, error) {
	secret, err := r.read(ctx, AuthoritySecret)
	if err != nil {
		return nil, err
	}
	var current *authority
	if secret != nil {
		current, err = parseAuthority(secret.Data[bundleKey], secret.Data[authorityKey])
		if secret.Labels[status.LabelManagedBy] != status.ManagedBy {
			if err != nil {
				return nil, fmt.Errorf("Secret %s is not Latchkey's and can't be used: %w; delete it to have an authority made", AuthoritySecret, err)
			}
			return current, nil
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "the authority can't be used and is made anew", "secret", AuthoritySecret)
		}
	}
	next, err := current.renew(r.Now())
	if err != nil || next == current {
		return next, err
	}
	key, err := next.keyPEM()
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{bundleKey: next.bundle(), authorityKey: key}
	return next, r.write(ctx, secret, AuthoritySecret, corev1.SecretTypeOpaque, data)
}

// serve keeps the serving Secret: a good certificate, and the bundle to verify it with.
func (r *Reconciler) serve(ctx context.Context, secret *corev1.Secret, ca *authority, wanted []string) error {
	var data map[string][]byte
	if secret != nil {
		data = map[string][]byte{corev1.TLSCertKey: secret.Data[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: secret.Data[corev1.TLSPrivateKeyKey]}
	}
	why := stale(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], ca.certs, wanted, r.Now())
	if why == "" && bytes.Equal(secret.Data[bundleKey], ca.bundle()) {
		return nil
	}
	if why != "" {
		ctrl.LoggerFrom(ctx).Info("issue a serving certificate", "names", wanted, "because", why)
		cert, key, err := ca.issue(wanted, r.Now())
		if err != nil {
			return err
		}
		// One that is no good either would be written over and over again.
		if still := stale(cert, key, ca.certs, wanted, r.Now()); still != "" {
			return fmt.Errorf("no good certificate for %v can be issued with the authority in Secret %s (%s); replace the authority, or delete it to have one made", wanted, AuthoritySecret, still)
		}
		data = map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}
	}
	data[bundleKey] = ca.bundle()
	return r.write(ctx, secret, r.ServingSecret, corev1.SecretTypeTLS, data)
}

// read returns the Secret, nil when it does not exist.
func (r *Reconciler) read(ctx context.Context, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil // absent is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return &secret, nil
}

// write creates the Secret, or updates it if nobody else has since it was read.
func (r *Reconciler) write(ctx context.Context, current *corev1.Secret, name string, kind corev1.SecretType, data map[string][]byte) error {
	if current != nil {
		secret := current.DeepCopy()
		secret.Data = data
		if err := r.Client.Update(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
			return fmt.Errorf("update Secret %s: %w", name, err)
		}
		return nil
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: name, Labels: map[string]string{status.LabelManagedBy: status.ManagedBy}},
		Type:       kind, Data: data,
	}
	if err := r.Client.Create(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("create Secret %s: %w", name, err)
	}
	return nil
}
