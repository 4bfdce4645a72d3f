package publish

import (
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/pages"
)

// NewCache makes the cache of a server: the kinds in all namespaces, Secrets in the operator's only. Of each object it keeps what a server
// reads, and nothing else: see keep. What it returns is shared and must not be changed. The watchdog learns of watches that break.
func NewCache(config *rest.Config, scheme *runtime.Scheme, namespace string, watchdog *Watchdog) (cache.Cache, error) {
	lists, err := pages.New(config)
	if err != nil {
		return nil, err
	}
	noCopy := true
	return cache.New(config, cache.Options{
		Scheme:                       scheme,
		DefaultUnsafeDisableDeepCopy: &noCopy,
		DefaultTransform:             keep,
		DefaultWatchErrorHandler:     watchdog.handler(),
		NewInformer:                  (&informers{lists, scheme}).newInformer,
		ByObject:                     map[client.Object]cache.ByObject{&corev1.Secret{}: {Namespaces: map[string]cache.Config{namespace: {}}}},
	})
}

// keep makes of an object what the cache keeps of it.
func keep(object any) (any, error) {
	if o, ok := object.(client.Object); ok {
		return kept(o)
	}
	return object, nil // kept already, or a deletion that was missed
}

// kept takes out of an object what compile does not read, nor the record of when secrets were used, and packs clients. A cluster may have
// 100,000 of them, and more than half of what they are is for people and for other programs.
func kept(object client.Object) (runtime.Object, error) {
	writers := object.GetManagedFields()
	object.SetManagedFields(nil)
	object.SetAnnotations(nil)
	object.SetOwnerReferences(nil)
	object.SetFinalizers(nil)
	switch o := object.(type) {
	case *v1alpha1.AuthorizationServer:
		o.Labels, o.Status = nil, v1alpha1.AuthorizationServerStatus{}
	case *v1alpha1.ResourceServer:
		o.Labels, o.Status = nil, v1alpha1.ResourceServerStatus{}
	case *v1alpha1.LocalUser: // whose updated_at is when its spec changed
		o.Labels, o.Status, o.ManagedFields = nil, v1alpha1.LocalUserStatus{}, compile.SpecWriters(writers)
	case *v1alpha1.OAuthClient:
		o.TypeMeta, o.Labels = metav1.TypeMeta{}, nil
		o.Status = v1alpha1.OAuthClientStatus{Secrets: o.Status.Secrets, SecretUsage: o.Status.SecretUsage}
		return pack(o)
	}
	return object, nil
}

// share makes what many clients have in common one text for all of them: what is compiled keeps it.
func share(c *v1alpha1.OAuthClient) {
	c.Namespace = shared(c.Namespace)
	shareAll(c.Spec.GrantTypes)
	shareAll(c.Spec.Scopes)
}

// shared is the same text, which everybody has who asked for it.
func shared[S ~string](text S) S { return S(unique.Make(string(text)).Value()) }

func shareAll[S ~string](texts []S) {
	for i := range texts {
		texts[i] = shared(texts[i])
	}
}
