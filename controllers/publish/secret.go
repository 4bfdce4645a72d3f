package publish

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// WatchSecret calls set with the data of the Secret, now and whenever it changes, and with nil when it is deleted. Data that can't be
// used is logged, and what was in use stays so if set leaves it.
func WatchSecret(ctx context.Context, c cache.Cache, namespace, name string, logger *slog.Logger, set func(data map[string][]byte) error) error {
	informer, err := c.GetInformer(ctx, &corev1.Secret{})
	if err != nil {
		return err
	}
	take := func(o any, gone bool) {
		if final, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
			o = final.Obj
		}
		secret, ok := o.(*corev1.Secret)
		if !ok || secret.Namespace != namespace || secret.Name != name {
			return
		}
		data := secret.Data
		if gone {
			data = nil
		}
		if err := set(data); err != nil {
			logger.Error("a Secret can't be used", "secret", name, "error", err)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { take(o, false) },
		UpdateFunc: func(_, after any) { take(after, false) },
		DeleteFunc: func(o any) { take(o, true) },
	})
	return err
}
