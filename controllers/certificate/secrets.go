package certificate

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/controllers/status"
)

// BundleKey is where a Secret has the certificates to trust, as PEM.
const BundleKey = "ca.crt"

const authorityKey = "ca.key"

// secrets are the Secrets of the operator's namespace that authorities and certificates are in.
type secrets struct {
	client    client.Client
	namespace string
	now       func() time.Time
}

// authority reads the authority and renews it. One that somebody else put there is used as it is. One of ours that can't be read
// is replaced.
func (s secrets) authority(ctx context.Context, name string, p purpose) (*authority, error) {
	secret, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	current := &authority{purpose: p}
	if secret != nil {
		parsed, err := parseAuthority(p, secret.Data[BundleKey], secret.Data[authorityKey])
		if secret.Labels[status.LabelManagedBy] != status.ManagedBy {
			if err != nil {
				return nil, fmt.Errorf("Secret %s is not Latchkey's and can't be used: %w; delete it to have an authority made", name, err)
			}
			return parsed, nil
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "the authority can't be used and is made anew", "secret", name)
		} else {
			current = parsed
		}
	}
	next, err := current.renew(s.now())
	if err != nil || next == current {
		return next, err
	}
	key, err := next.keyPEM()
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{BundleKey: next.bundle(), authorityKey: key}
	return next, s.write(ctx, secret, name, corev1.SecretTypeOpaque, data)
}

// leaf is the certificate and key that the Secret is to hold: what it holds (secret may be nil) if that is good for the names, else
// issued anew. authority is the name of the authority's Secret.
func (s secrets) leaf(ctx context.Context, secret *corev1.Secret, ca *authority, authority string, wanted []string) (map[string][]byte, error) {
	var cert, key []byte
	if secret != nil {
		cert, key = secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	}
	if why := ca.stale(cert, key, wanted, s.now()); why != "" {
		ctrl.LoggerFrom(ctx).Info("issue a certificate", "for", ca.purpose.leaf, "names", wanted, "because", why)
		var err error
		if cert, key, err = ca.issue(wanted, s.now()); err != nil {
			return nil, err
		}
		// One that is no good either would be written over and over again.
		if still := ca.stale(cert, key, wanted, s.now()); still != "" {
			return nil, fmt.Errorf("no good certificate for %v can be issued with the authority in Secret %s (%s); replace the authority, or delete it to have one made", wanted, authority, still)
		}
	}
	return map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key}, nil
}

// read returns the Secret, nil when it does not exist.
func (s secrets) read(ctx context.Context, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil // absent is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return &secret, nil
}

// write creates the Secret, or updates it if it has other data and nobody else has since it was read.
func (s secrets) write(ctx context.Context, current *corev1.Secret, name string, kind corev1.SecretType, data map[string][]byte) error {
	if current != nil && maps.EqualFunc(current.Data, data, bytes.Equal) {
		return nil
	}
	if current != nil {
		secret := current.DeepCopy()
		secret.Data = data
		if err := s.client.Update(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
			return fmt.Errorf("update Secret %s: %w", name, err)
		}
		return nil
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{status.LabelManagedBy: status.ManagedBy}},
		Type:       kind, Data: data,
	}
	if err := s.client.Create(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("create Secret %s: %w", name, err)
	}
	return nil
}
