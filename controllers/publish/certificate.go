package publish

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// WatchCertificate calls set with chain and key of the kubernetes.io/tls Secret, now and whenever it changes. A Secret
// that can't be used is logged, and what was in use stays so.
func WatchCertificate(ctx context.Context, c cache.Cache, namespace, name string, logger *slog.Logger, set func(chain, key []byte) error) error {
	informer, err := c.GetInformer(ctx, &corev1.Secret{})
	if err != nil {
		return err
	}
	take := func(o any) {
		secret, ok := o.(*corev1.Secret)
		if !ok || secret.Namespace != namespace || secret.Name != name {
			return
		}
		if err := set(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
			logger.Error("the serving certificate can't be used", "secret", name, "error", err)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    take,
		UpdateFunc: func(_, after any) { take(after) },
	})
	return err
}
