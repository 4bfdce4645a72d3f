package oauthclient

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
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

// maxRequest is how long a request for a rotation can be to be kept as it is, in bytes.
const maxRequest = 256

// generated keeps the Secret that Latchkey makes for the client and returns what is in it. A client secret that is there is
// kept until it is to be replaced; everything else in the Secret that is ours is put right. A Secret that is not ours is not touched.
func (r *Reconciler) generated(ctx context.Context, as *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (credential, error) {
	spec := clientSecret(c)
	live, err := r.own(ctx, c, spec.SecretName)
	if err != nil {
		return credential{}, err
	}
	if live == nil {
		return r.create(ctx, as, c, set)
	}
	if !belongs(live, c) {
		return refused(v1alpha1.ReasonSecretConflict, true,
			"Secret %s exists and is not this client's; it was left alone. Delete it, choose another secretName, or set source: Existing to use it", spec.SecretName), nil
	}
	stored := chainIn(live, c, set, r.Now())
	rot := r.rotation(c, set, stored)
	rot.run()
	desired, err := desiredSecret(live, c, as.Spec.Issuer, &rot.chain)
	if err != nil {
		return credential{}, err
	}
	if live.Type == secretType && equality.Semantic.DeepEqual(live, desired) {
		return rot.credential(set, c).until(live), nil
	}
	if live.Immutable != nil && *live.Immutable {
		return rot.stuck(&stored, set, c, "Secret %s is immutable and not as it should be; delete it to have it made anew with another client secret", live.Name), nil
	}
	if live.Type != secretType && !live.DeletionTimestamp.IsZero() {
		return rot.stuck(&stored, set, c, "Secret %s is being deleted, to be made anew with type %s, and finalizers hold it: %v; take them away", live.Name, secretType, live.Finalizers), nil
	}
	if err := r.write(ctx, c, live, desired); err != nil {
		return credential{}, err
	}
	r.tellUpdate(c, live, rot.notes)
	return rot.credential(set, c).until(live), nil
}

// until says of a Secret that is good, and on its way out, what comes after it.
func (cred credential) until(live *corev1.Secret) credential {
	if !live.DeletionTimestamp.IsZero() {
		cred.message = fmt.Sprintf("Secret %s is being deleted, and finalizers hold it: %v; when it is gone it is made anew with another client secret", live.Name, live.Finalizers)
	}
	return cred
}

// stuck is what comes of a Secret that can't be written: what it holds remains valid, as far as it may.
func (r *rotation) stuck(stored *chain, set *keys.Set, c *v1alpha1.OAuthClient, format string, args ...any) credential {
	out := refused(v1alpha1.ReasonSecretInvalid, true, format, args...)
	for _, s := range stored.valid() {
		if wellFormed(s.value) && !r.isRevoked(s) && (s.expiresAt.IsZero() || r.now.Before(s.expiresAt)) {
			out.secrets = append(out.secrets, s.status(set, c))
		}
	}
	out.handled = stored.handled
	return out
}

// write writes the Secret over what is there.
func (r *Reconciler) write(ctx context.Context, c *v1alpha1.OAuthClient, live, desired *corev1.Secret) error {
	if live.Type != secretType {
		return r.replace(ctx, c, live, desired)
	}
	if err := r.Client.Update(ctx, desired, client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("update Secret %s: %w", live.Name, err)
	}
	return nil
}

// rotation is that of the client's chain, now.
func (r *Reconciler) rotation(c *v1alpha1.OAuthClient, set *keys.Set, ch chain) *rotation {
	spec, now, name := clientSecret(c), r.Now(), client.ObjectKeyFromObject(c)
	out := &rotation{chain: ch, now: now, policy: policy{revoked: spec.Revoked, request: request(c)}}
	out.interval, out.overlap = compile.SecretRotation(spec)
	out.mint = func() secretValue {
		value := newClientSecret()
		return secretValue{value: value, id: secretID(set, c, value), createdAt: now.UTC().Truncate(time.Second)}
	}
	if ch.next != nil && slices.ContainsFunc(c.Status.Secrets, publishes(ch.next.status(set, c))) {
		out.publishedAt = r.published.since(name, ch.next.id, now)
	} else {
		r.published.forget(name)
	}
	return out
}

// publishes tells whether an entry of status has a digest that is to be there.
func publishes(want v1alpha1.ClientSecretStatus) func(v1alpha1.ClientSecretStatus) bool {
	return func(s v1alpha1.ClientSecretStatus) bool {
		return s.ID == want.ID && s.Digest == want.Digest && s.ExpiresAt == nil
	}
}

// request is what asks for a rotation of the client's secret, in a form that is short enough to be kept.
func request(c *v1alpha1.OAuthClient) string {
	value := c.Annotations[v1alpha1.AnnotationRotate]
	if len(value) > maxRequest {
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
	}
	return value
}

// credential is what the rotation comes to.
func (r *rotation) credential(set *keys.Set, c *v1alpha1.OAuthClient) credential {
	out := credential{handled: r.handled, message: r.message(), again: r.again(), publishing: r.next != nil}
	for _, s := range r.valid() {
		out.secrets = append(out.secrets, s.status(set, c))
	}
	return out
}

func (r *Reconciler) tellUpdate(c *v1alpha1.OAuthClient, before *corev1.Secret, notes []note) {
	if !metav1.IsControlledBy(before, c) {
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretAdopted", "Adopt", "Secret %s, which an earlier client of this name left, was taken over", before.Name)
	}
	for _, n := range notes {
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, n.reason, n.action, "Secret %s: %s", before.Name, n.text)
	}
	if len(notes) == 0 && metav1.IsControlledBy(before, c) {
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretUpdated", "Update", "Secret %s was brought up to date", before.Name)
	}
}

// create makes the Secret. Should somebody else have made one of that name meanwhile, theirs stays and the client is looked
// at again. When the Secret has only been given another name, the client secrets move with it. What asks for a rotation has its
// new client secret then.
func (r *Reconciler) create(ctx context.Context, as *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (credential, error) {
	found, err := r.former(ctx, c, set)
	if err != nil {
		return credential{}, err
	}
	if found == nil {
		found = &chain{handled: request(c)}
	}
	rot := r.rotation(c, set, *found)
	if found.current.value == "" {
		rot.current = rot.mint()
	}
	rot.run()
	secret, err := desiredSecret(nil, c, as.Spec.Issuer, &rot.chain)
	if err != nil {
		return credential{}, err
	}
	err = r.written.write(client.ObjectKeyFromObject(c), kindSecret, secret, r.Now(), func() error {
		return r.Client.Create(ctx, secret, client.FieldOwner(status.FieldManager))
	})
	if err != nil {
		return credential{}, fmt.Errorf("create Secret %s: %w", secret.Name, err)
	}
	if !isNew(c) { // of a new client, the condition tells
		r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretCreated", "Create", "Secret %s was created", secret.Name)
	}
	return rot.credential(set, c), nil
}

// former returns what is in a Secret of this client that has another name than the spec now says, or that was kept aside; nil if
// there is none.
func (r *Reconciler) former(ctx context.Context, c *v1alpha1.OAuthClient, set *keys.Set) (*chain, error) {
	names, err := r.formerSecrets(ctx, c, clientSecret(c).SecretName)
	if err != nil {
		return nil, err
	}
	candidates := []string{aside(clientSecret(c).SecretName)} // which the cache may not know yet
	for i := range names {
		candidates = append(candidates, names[i].Name)
	}
	for _, name := range candidates {
		secret, err := r.own(ctx, c, name)
		if err != nil {
			return nil, err
		}
		if secret == nil || !belongs(secret, c) {
			continue
		}
		if ch := chainIn(secret, c, set, r.Now()); wellFormed(ch.current.value) {
			return &ch, nil
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
	if err := r.Metadata.List(ctx, list, client.InNamespace(c.Namespace), client.MatchingFields{ownerField: string(c.UID)}); err != nil {
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
