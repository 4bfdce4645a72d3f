package authorizationserver

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// checkStorageAgain is how often a place where grants are kept is looked at, for the sake of the condition.
	checkStorageAgain = 15 * time.Second
	// checkStorageTimeout bounds one look.
	checkStorageTimeout = 10 * time.Second
)

// storage looks whether the place can be used where the issuer's grants are kept.
func (r *Reconciler) storage(ctx context.Context, config *registry.Config) []compile.Problem {
	if config.Storage == nil || config.Storage.Data == nil { // of the latter compile has told
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkStorageTimeout)
	defer cancel()
	if err := r.CheckStorage(ctx, config.Storage.Data); err != nil {
		return []compile.Problem{{Condition: v1alpha1.ConditionStorageReady, Reason: v1alpha1.ReasonStorageUnreachable,
			Message: "the storage that spec.storage names can't be used, and without it nobody can sign in: " + err.Error() + "; it is tried again"}}
	}
	return nil
}

// keptBy are the AuthorizationServers whose grants are kept where a Secret says.
func (r *Reconciler) keptBy(ctx context.Context, secret client.Object) []ctrl.Request {
	var all v1alpha1.AuthorizationServerList
	if secret.GetNamespace() != r.Namespace || r.Client.List(ctx, &all) != nil {
		return nil // the next look is soon
	}
	var requests []ctrl.Request
	for i := range all.Items {
		if s := all.Items[i].Spec.Storage; s != nil && s.Valkey.SecretRef.Name == secret.GetName() {
			requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Name: all.Items[i].Name}})
		}
	}
	return requests
}
