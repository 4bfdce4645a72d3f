package kubernetes

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
)

// pageSize is how many objects are read at once when all are read.
const pageSize = 500

// paged is a ListWatch whose list is to be preferred to a stream of events (WatchList), which takes twice as much time: each of its
// objects comes in an envelope, parsed by itself.
type paged struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported implements what reflectors ask for that.
func (paged) IsWatchListSemanticsUnSupported() bool { return true }

// listPages reads all objects there are now, a page at a time. That is at least as new as whatever version was asked for.
func (s *objects[V, O]) listPages(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit = "", "", pageSize
	all := &internalversion.List{}
	for {
		page := s.kind.list()
		err := s.client.List(ctx, page, s.options(o))
		if apierrors.IsResourceExpired(err) && o.Continue != "" { // this took longer than etcd remembers
			o.Continue, o.Limit, all.Items = "", 0, nil
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := keepPage(all, page); err != nil {
			return nil, err
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			all.ResourceVersion = page.GetResourceVersion()
			return all, nil
		}
	}
}

// keepPage adds the objects of a page, without what nobody reads, and each by itself: none keeps the memory of the page.
func keepPage(all *internalversion.List, page runtime.Object) error {
	return meta.EachListItemWithAlloc(page, func(item runtime.Object) error {
		o, err := meta.Accessor(item)
		if err == nil {
			o.SetManagedFields(nil)
			all.Items = append(all.Items, item)
		}
		return err
	})
}
