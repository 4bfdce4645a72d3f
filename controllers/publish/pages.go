package publish

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/pages"
)

// informers makes the informers of a cache.
type informers struct {
	pages  *pages.Client
	scheme *runtime.Scheme
}

// newInformer makes an informer that reads in pages what there is of our kinds, and keeps of each object what is read of it.
func (i *informers) newInformer(lw toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	gvk, err := apiutil.GVKForObject(example, i.scheme)
	if err == nil && gvk.Group == v1alpha1.GroupVersion.Group {
		lw = pages.ListerWatcher(i.lister(gvk), toolscache.ToListerWatcherWithContext(lw).WatchWithContext)
	}
	return unpacking{toolscache.NewSharedIndexInformer(lw, example, resync, indexers)}
}

func (i *informers) lister(gvk schema.GroupVersionKind) toolscache.ListWithContextFunc {
	resource, skip := resourceOf(gvk), skipped(gvk.Kind)
	return func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return i.pages.List(ctx, resource, "", o, func(read func(any) error) (runtime.Object, error) {
			object, err := i.scheme.New(gvk)
			if err != nil {
				return nil, err
			}
			if err := read(object); err != nil {
				return nil, err
			}
			if o, ok := object.(client.Object); ok {
				return kept(o)
			}
			return object, nil
		}, skip...)
	}
}

// skipped is what a list's objects are read without: what keep would take out at once, and is most of what there is to read.
func skipped(kind string) []*json.Unmarshalers {
	skip := []*json.Unmarshalers{pages.Skip[[]metav1.Condition]()}
	if kind != "LocalUser" { // of which is kept who wrote its spec when
		skip = append(skip, pages.Skip[[]metav1.ManagedFieldsEntry]())
	}
	return skip
}

// resourceOf is what the API server calls a kind of ours, all of which are called as is usual.
func resourceOf(kind schema.GroupVersionKind) string {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return resource.Resource
}
