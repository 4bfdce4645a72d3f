package oauthclient

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/keys"
)

// generatedLength is the number of random bytes of a generated client secret.
const generatedLength = 32

// generated keeps the Secret that Latchkey makes for the client and returns what is in it. A client secret that is there is
// kept; everything else in the Secret that is ours is put right. A Secret that is not ours is not touched.
func (r *Reconciler) generated(ctx context.Context, as *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (*secretValue, *compile.Problem, error) {
	spec := clientSecret(c)
	live, err := r.read(ctx, c.Namespace, spec.SecretName)
	if err != nil {
		return nil, nil, err
	}
	if live == nil {
		found, err := r.create(ctx, as, c, set)
		return found, nil, err
	}
	if !belongs(live, c) {
		return nil, problem(v1alpha1.ReasonSecretConflict, true,
			"Secret %s exists and is not this client's; it was left alone. Delete it, choose another secretName, or set source: Existing to use it", spec.SecretName), nil
	}
	found := secretValue{value: valueIn(live, spec)}
	if !wellFormed(found.value) {
		found.value = newClientSecret()
	}
	found.id = secretID(set, c, found.value)
	found.createdAt = createdAt(live, found.id, r.Now())
	desired, err := desiredSecret(live, c, as.Spec.Issuer, found)
	if err != nil {
		return nil, nil, err
	}
	if equality.Semantic.DeepEqual(live, desired) {
		return &found, nil, nil
	}
	if live.Immutable != nil && *live.Immutable {
		return nil, problem(v1alpha1.ReasonSecretInvalid, true,
			"Secret %s is immutable and not as it should be; delete it to have it made anew", spec.SecretName), nil
	}
	if err := r.Client.Update(ctx, desired, client.FieldOwner(status.FieldManager)); err != nil {
		return nil, nil, fmt.Errorf("update Secret %s: %w", spec.SecretName, err)
	}
	r.tellUpdate(c, live)
	return &found, nil, nil
}

func (r *Reconciler) tellUpdate(c *v1alpha1.OAuthClient, before *corev1.Secret) {
	if !metav1.IsControlledBy(before, c) {
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretAdopted", "Adopt", "Secret %s, which an earlier client of this name left, was taken over", before.Name)
		return
	}
	r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretUpdated", "Update", "Secret %s was brought up to date", before.Name)
}

// create makes the Secret. Should somebody else have made one of that name meanwhile, theirs stays and the client is looked
// at again. When the Secret has only been given another name, the client secret moves with it.
func (r *Reconciler) create(ctx context.Context, as *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (*secretValue, error) {
	found, err := r.former(ctx, c, set)
	if err != nil {
		return nil, err
	}
	if found == nil {
		value := newClientSecret()
		found = &secretValue{value: value, id: secretID(set, c, value), createdAt: r.Now().UTC().Truncate(time.Second)}
	}
	secret, err := desiredSecret(nil, c, as.Spec.Issuer, *found)
	if err != nil {
		return nil, err
	}
	if err := r.Client.Create(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
		return nil, fmt.Errorf("create Secret %s: %w", secret.Name, err)
	}
	r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretCreated", "Create", "Secret %s was created", secret.Name)
	return found, nil
}

// former returns the client secret in a Secret of this client that has another name than the spec now says; nil if there is none.
func (r *Reconciler) former(ctx context.Context, c *v1alpha1.OAuthClient, set *keys.Set) (*secretValue, error) {
	names, err := r.formerSecrets(ctx, c, clientSecret(c).SecretName)
	if err != nil {
		return nil, err
	}
	for i := range names {
		secret, err := r.read(ctx, c.Namespace, names[i].Name)
		if err != nil {
			return nil, err
		}
		if secret == nil || !belongs(secret, c) {
			continue
		}
		if value := valueIn(secret, clientSecret(c)); wellFormed(value) {
			id := secretID(set, c, value)
			return &secretValue{value: value, id: id, createdAt: createdAt(secret, id, r.Now())}, nil
		}
	}
	return nil, nil // absent is no error
}

// removeFormer deletes the Secrets that were made for this client under other names than keep.
func (r *Reconciler) removeFormer(ctx context.Context, c *v1alpha1.OAuthClient, keep string) error {
	former, err := r.formerSecrets(ctx, c, keep)
	if err != nil {
		return err
	}
	for i := range former {
		f := &former[i]
		err := r.Client.Delete(ctx, f, client.Preconditions{UID: &f.UID, ResourceVersion: &f.ResourceVersion})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete Secret %s: %w", f.Name, err)
		}
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretDeleted", "Delete", "Secret %s is not the client's any more and was deleted", f.Name)
	}
	return nil
}

// formerSecrets are the Secrets that Latchkey made for this very client under other names than keep.
func (r *Reconciler) formerSecrets(ctx context.Context, c *v1alpha1.OAuthClient, keep string) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.SecretMetadata.List(ctx, list, client.InNamespace(c.Namespace), client.MatchingFields{ownerField: string(c.UID)}); err != nil {
		return nil, fmt.Errorf("list the client's Secrets: %w", err)
	}
	var out []metav1.PartialObjectMetadata
	for i := range list.Items {
		if s := list.Items[i]; s.Name != keep && s.DeletionTimestamp.IsZero() && s.Labels[status.LabelManagedBy] == status.ManagedBy {
			out = append(out, s)
		}
	}
	return out, nil
}

// newClientSecret is a secret of 256 random bits, base64url.
func newClientSecret() string {
	b := make([]byte, generatedLength)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// wellFormed says whether a value can have been made by newClientSecret.
func wellFormed(value string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(b) == generatedLength
}
