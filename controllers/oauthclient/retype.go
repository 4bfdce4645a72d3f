package oauthclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// maxSecretName is how long the name of a Secret can be.
const maxSecretName = 253

// aside is the name of the Secret that holds what another holds while that is made anew.
func aside(name string) string {
	const suffix = "-latchkey-aside"
	return strings.TrimRight(name[:min(len(name), maxSecretName-len(suffix))], "-.") + suffix
}

// replace makes a Secret anew whose type is not ours, for Kubernetes lets nobody change the type. What it holds stands in a Secret
// beside it meanwhile: should this process be killed, it is found there as if the Secret had been renamed.
func (r *Reconciler) replace(ctx context.Context, c *v1alpha1.OAuthClient, live, desired *corev1.Secret) error {
	fresh := desired.DeepCopy()
	fresh.Type = secretType
	fresh.ObjectMeta = metav1.ObjectMeta{Namespace: live.Namespace, Name: live.Name, Labels: desired.Labels, Annotations: desired.Annotations,
		OwnerReferences: desired.OwnerReferences}
	kept := fresh.DeepCopy()
	kept.Name = aside(live.Name)
	if err := r.keep(ctx, c, kept); err != nil {
		return err
	}
	if err := r.Client.Delete(ctx, live, client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion}); err != nil {
		return fmt.Errorf("delete Secret %s, to make it anew with type %s: %w", live.Name, secretType, err)
	}
	if err := r.Client.Create(ctx, fresh, client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("make Secret %s anew: %w", live.Name, err)
	}
	r.Events.Eventf(c, nil, corev1.EventTypeNormal, "SecretReplaced", "Replace",
		"Secret %s had the type %s, which can't be changed, and was made anew as %s with what it held", live.Name, live.Type, secretType)
	return nil
}

// keep makes the Secret beside. One that an earlier attempt left is of no use, for the Secret itself is still there: it is deleted,
// and the client looked at again.
func (r *Reconciler) keep(ctx context.Context, c *v1alpha1.OAuthClient, kept *corev1.Secret) error {
	failed := r.Client.Create(ctx, kept, client.FieldOwner(status.FieldManager))
	if failed == nil {
		return nil
	}
	failed = fmt.Errorf("keep what is to be made anew in Secret %s: %w", kept.Name, failed)
	if !apierrors.IsAlreadyExists(failed) {
		return failed
	}
	left, err := r.read(ctx, kept.Namespace, kept.Name)
	if err != nil || left == nil {
		return errors.Join(failed, err)
	}
	if !belongs(left, c) || !left.DeletionTimestamp.IsZero() {
		return fmt.Errorf("the name of Secret %s is needed for a moment; delete it (finalizers: %v), or choose another secretName", kept.Name, left.Finalizers)
	}
	return errors.Join(failed, r.Client.Delete(ctx, left, client.Preconditions{UID: &left.UID, ResourceVersion: &left.ResourceVersion}))
}
