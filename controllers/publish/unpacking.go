package publish

import (
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	toolscache "k8s.io/client-go/tools/cache"
)

// unpacking is an informer that unpacks what is packed for whoever reads it or is told of it.
type unpacking struct{ toolscache.SharedIndexInformer }

// GetStore implements toolscache.SharedInformer.
func (i unpacking) GetStore() toolscache.Store { return i.GetIndexer() }

// GetIndexer implements toolscache.SharedIndexInformer.
func (i unpacking) GetIndexer() toolscache.Indexer {
	return unpackingIndexer{i.SharedIndexInformer.GetIndexer()}
}

// AddEventHandler implements toolscache.SharedInformer.
func (i unpacking) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.SharedIndexInformer.AddEventHandler(unpackingHandler{h})
}

// AddEventHandlerWithResyncPeriod implements toolscache.SharedInformer.
func (i unpacking) AddEventHandlerWithResyncPeriod(h toolscache.ResourceEventHandler, period time.Duration) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.SharedIndexInformer.AddEventHandlerWithResyncPeriod(unpackingHandler{h}, period)
}

// AddEventHandlerWithOptions implements toolscache.SharedInformer.
func (i unpacking) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, o toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.SharedIndexInformer.AddEventHandlerWithOptions(unpackingHandler{h}, o)
}

type unpackingIndexer struct{ toolscache.Indexer }

// Get implements toolscache.Store.
func (i unpackingIndexer) Get(like any) (any, bool, error) { return found(i.Indexer.Get(like)) }

// GetByKey implements toolscache.Store.
func (i unpackingIndexer) GetByKey(key string) (any, bool, error) {
	return found(i.Indexer.GetByKey(key))
}

// List implements toolscache.Store.
func (i unpackingIndexer) List() []any {
	all, err := allUnpacked(i.Indexer.List(), nil)
	utilruntime.HandleError(err)
	return all
}

// Index implements toolscache.Indexer.
func (i unpackingIndexer) Index(name string, like any) ([]any, error) {
	return allUnpacked(i.Indexer.Index(name, like))
}

// ByIndex implements toolscache.Indexer.
func (i unpackingIndexer) ByIndex(name, value string) ([]any, error) {
	return allUnpacked(i.Indexer.ByIndex(name, value))
}

type unpackingHandler struct {
	toolscache.ResourceEventHandler
}

// OnAdd implements toolscache.ResourceEventHandler.
func (h unpackingHandler) OnAdd(object any, isInInitialList bool) {
	tell(func(o []any) { h.ResourceEventHandler.OnAdd(o[0], isInInitialList) }, object)
}

// OnUpdate implements toolscache.ResourceEventHandler.
func (h unpackingHandler) OnUpdate(before, after any) {
	tell(func(o []any) { h.ResourceEventHandler.OnUpdate(o[0], o[1]) }, before, after)
}

// OnDelete implements toolscache.ResourceEventHandler.
func (h unpackingHandler) OnDelete(object any) {
	tell(func(o []any) { h.ResourceEventHandler.OnDelete(o[0]) }, object)
}

func tell(handle func([]any), packed ...any) {
	objects, err := allUnpacked(packed, nil)
	if err != nil { // what was encoded here can be decoded here
		utilruntime.HandleError(err)
		return
	}
	handle(objects)
}

func found(object any, exists bool, err error) (any, bool, error) {
	if err != nil || !exists {
		return nil, exists, err
	}
	object, err = unpacked(object)
	return object, err == nil, err
}

func allUnpacked(objects []any, err error) ([]any, error) {
	out := make([]any, len(objects))
	for i := 0; i < len(objects) && err == nil; i++ {
		out[i], err = unpacked(objects[i])
	}
	return out, err
}

// unpacked is what the cache was told to keep: see keep.
func unpacked(object any) (any, error) {
	switch o := object.(type) {
	case *packed:
		return o.unpack()
	case toolscache.DeletedFinalStateUnknown:
		last, err := unpacked(o.Obj)
		return toolscache.DeletedFinalStateUnknown{Key: o.Key, Obj: last}, err
	}
	return object, nil
}
