package publish

import (
	"slices"
	"unique"

	corev1 "k8s.io/api/core/v1"
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

// keep takes out of an object what compile does not read, nor the record of when secrets were used. A cluster may have 100,000 clients, and
// more than half of what they are is for people and for other programs. An object that is kept is its own keep.
func keep(object any) (any, error) {
	o, ok := object.(client.Object)
	if !ok { // a deletion that was missed
		return object, nil
	}
	writers := o.GetManagedFields()
	o.SetManagedFields(nil)
	o.SetAnnotations(nil)
	o.SetOwnerReferences(nil)
	o.SetFinalizers(nil)
	o.SetNamespace(shared(o.GetNamespace()))
	switch o := o.(type) {
	case *v1alpha1.AuthorizationServer:
		o.Labels, o.Status = nil, v1alpha1.AuthorizationServerStatus{}
	case *v1alpha1.ResourceServer:
		o.Labels, o.Status = nil, v1alpha1.ResourceServerStatus{}
	case *v1alpha1.LocalUser: // whose updated_at is when its spec changed
		o.Labels, o.Status, o.ManagedFields = nil, v1alpha1.LocalUserStatus{}, compile.SpecWriters(writers)
	case *v1alpha1.OAuthClient:
		o.Labels = nil
		keepClient(o)
	}
	return object, nil
}

// keepClient keeps of a client's status the secrets and their use. What many clients have in common is one string for all of them, and
// lists have no room to spare, which those that come from JSON have.
func keepClient(c *v1alpha1.OAuthClient) {
	c.Status = v1alpha1.OAuthClientStatus{Secrets: slices.Clone(c.Status.Secrets), SecretUsage: slices.Clone(c.Status.SecretUsage)}
	c.APIVersion, c.Kind = shared(c.APIVersion), shared(c.Kind)
	s := &c.Spec
	s.AuthorizationServerName, s.Type = shared(s.AuthorizationServerName), shared(s.Type)
	s.RedirectURIs = slices.Clone(s.RedirectURIs)
	s.GrantTypes, s.Scopes = sharedAll(s.GrantTypes), sharedAll(s.Scopes)
	s.Resources = slices.Clone(s.Resources)
	for i := range s.Resources {
		r := &s.Resources[i]
		r.Namespace, r.Name, r.Scopes = shared(r.Namespace), shared(r.Name), sharedAll(r.Scopes)
	}
}

// shared is the same text, which everybody has who asked for it.
func shared[S ~string](text S) S { return S(unique.Make(string(text)).Value()) }

func sharedAll[S ~string](texts []S) []S {
	texts = slices.Clone(texts)
	for i := range texts {
		texts[i] = shared(texts[i])
	}
	return texts
}
