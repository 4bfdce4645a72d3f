package authorizationserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/keys"
)

// LabelAuthorizationServer names, on a keys Secret, the AuthorizationServer it belongs to.
const LabelAuthorizationServer = "oauth.latchkey.io/authorization-server"

// errUnusable is wrapped by the error for a Secret that holds no usable keys. It is never written over: the salt in it
// decides every user's `sub`, so that it must be restored rather than replaced.
var errUnusable = errors.New("the keys are unusable")

// rotate brings the stored keys to where the schedule wants them and returns them, with the time to look again. Of two
// controllers that do it at once the later one's write is refused, and it starts again from what the earlier one wrote.
func (r *Reconciler) rotate(ctx context.Context, as *v1alpha1.AuthorizationServer) (material *keys.Material, again time.Time, err error) {
	err = retry.OnError(retry.DefaultRetry, status.Raced, func() error {
		material, again, err = r.rotateOnce(ctx, as)
		return err
	})
	return material, again, err
}

func (r *Reconciler) rotateOnce(ctx context.Context, as *v1alpha1.AuthorizationServer) (*keys.Material, time.Time, error) {
	name := client.ObjectKey{Namespace: r.Namespace, Name: compile.KeysSecretPrefix + as.Name}
	var secret corev1.Secret
	err := r.Live.Get(ctx, name, &secret)
	if apierrors.IsNotFound(err) {
		return r.create(ctx, as, name)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read Secret %s: %w", name.Name, err)
	}
	material, err := parse(&secret)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: Secret %s in namespace %s: %w; restore it from a backup, or delete it to have new keys made (every sign-in and every sub changes)", errUnusable, name.Name, name.Namespace, err)
	}
	kept := retentionsOf(&secret)
	next, schedule := kept.next(compile.KeySchedule(as), r.Now())
	rotated, again, err := material.Rotate(schedule, r.Now())
	if err != nil || (rotated == material && next == kept) {
		return rotated, again, err
	}
	if err := fill(&secret, as.Name, rotated, next); err != nil {
		return nil, time.Time{}, err
	}
	if err := r.Client.Update(ctx, &secret, client.FieldOwner(status.FieldManager)); err != nil {
		return nil, time.Time{}, fmt.Errorf("write Secret %s: %w", name.Name, err)
	}
	if rotated != material {
		r.Events.Eventf(as, nil, corev1.EventTypeNormal, "KeysRotated", "Rotate", "keys of Secret %s changed on schedule", name.Name)
	}
	return rotated, again, nil
}

// create makes the first keys. The Secret has no owner reference on purpose: an issuer that is deleted and applied again,
// as GitOps tools do, must not change every user's `sub`.
func (r *Reconciler) create(ctx context.Context, as *v1alpha1.AuthorizationServer, name client.ObjectKey) (*keys.Material, time.Time, error) {
	kept, schedule := retentions{}.next(compile.KeySchedule(as), r.Now())
	material, again, err := (*keys.Material)(nil).Rotate(schedule, r.Now())
	if err != nil {
		return nil, time.Time{}, err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}, Type: corev1.SecretTypeOpaque}
	if err := fill(secret, as.Name, material, kept); err != nil {
		return nil, time.Time{}, err
	}
	if err := r.Client.Create(ctx, secret, client.FieldOwner(status.FieldManager)); err != nil {
		return nil, time.Time{}, fmt.Errorf("create Secret %s: %w", name.Name, err)
	}
	if len(as.Status.Keys) > 0 {
		r.Events.Eventf(as, nil, corev1.EventTypeWarning, "KeysLost", "Create", "Secret %s was gone; new keys were made: every sign-in and every sub changes", name.Name)
	} else {
		r.Events.Eventf(as, nil, corev1.EventTypeNormal, "KeysCreated", "Create", "keys were made in Secret %s", name.Name)
	}
	return material, again, nil
}

// parse reads the keys and makes sure that they are complete.
func parse(secret *corev1.Secret) (*keys.Material, error) {
	material, err := keys.Unmarshal(secret.Data[compile.KeysSecretKey])
	if err != nil {
		return nil, err
	}
	_, err = keys.NewSet(material)
	return material, err
}

// fill writes keys and retentions into the Secret.
func fill(secret *corev1.Secret, name string, material *keys.Material, kept retentions) error {
	data, err := material.Marshal()
	if err != nil {
		return err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	secret.Data[compile.KeysSecretKey] = data
	metav1.SetMetaDataLabel(&secret.ObjectMeta, status.LabelManagedBy, status.ManagedBy)
	metav1.SetMetaDataLabel(&secret.ObjectMeta, LabelAuthorizationServer, name)
	return kept.annotate(secret)
}
