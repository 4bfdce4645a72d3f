package publish

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

// pageSize is how many objects are read at once when all are read.
const pageSize = 500

// newInformer makes an informer that reads what there is in pages, of which only what is kept stays in memory. A stream of events
// (WatchList) would save as much memory, and take twice as much time: each of its objects comes in an envelope, parsed by itself.
func newInformer(lw toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	inner := toolscache.ToListerWatcherWithContext(lw)
	return toolscache.NewSharedIndexInformer(paged{&toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return listPages(o, func(o metav1.ListOptions) (runtime.Object, error) { return inner.ListWithContext(ctx, o) })
		},
		WatchFuncWithContext: inner.WatchWithContext,
	}}, example, resync, indexers)
}

// paged is a ListWatch whose list is to be preferred to a stream of events.
type paged struct{ *toolscache.ListWatch }

// IsWatchListSemanticsUnSupported implements what reflectors ask for that.
func (paged) IsWatchListSemanticsUnSupported() bool { return true }

// listPages reads all there is now. That is at least as new as whatever version was asked for.
func listPages(o metav1.ListOptions, list func(metav1.ListOptions) (runtime.Object, error)) (runtime.Object, error) {
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit = "", "", pageSize
	all := &internalversion.List{}
	for {
		page, err := list(o)
		if apierrors.IsResourceExpired(err) && o.Continue != "" { // this took longer than etcd remembers
			o.Continue, o.Limit, all.Items = "", 0, nil
			continue
		}
		if err != nil {
			return nil, err
		}
		listed, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		if err := keepPage(all, page); err != nil {
			return nil, err
		}
		if o.Continue = listed.GetContinue(); o.Continue == "" {
			all.ResourceVersion = listed.GetResourceVersion()
			return all, nil
		}
	}
}

// keepPage adds what is kept of a page, each object by itself: none keeps the memory of the page.
func keepPage(all *internalversion.List, page runtime.Object) error {
	return meta.EachListItemWithAlloc(page, func(o runtime.Object) error {
		_, err := keep(o)
		all.Items = append(all.Items, o)
		return err
	})
}
