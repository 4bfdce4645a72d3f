// Package pages reads all objects of a kind, of which a cluster may have 100,000.
//
// It asks for them a page at a time, for the API server holds a page in memory, and takes a minute at most for one. A page is decoded while
// the API server still encodes the rest of it, object by object, and what is kept of an object is all that stays: there is never a page in
// memory. client-go's codec reads a page as a whole, then finds out of what kind it is, and then decodes it, each time through all of it.
package pages

import (
	"bufio"
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	// pageSize is how many objects are asked for at once. The API server looks through all that follow to say how many are left, so
	// small pages cost it as much again as what is in them.
	pageSize = 5000
	// bufferSize is how much of a page is read at once, in bytes.
	bufferSize = 64 << 10
)

// Client asks for pages of v1alpha1's kinds. It is safe for concurrent use.
type Client struct {
	rest rest.Interface
	size int64 // of a page, in objects
}

// New makes a Client. The config must have no Timeout, which would cut long pages.
func New(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/apis", &v1alpha1.GroupVersion
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion() // for what the API server answers instead of a list
	client, err := rest.RESTClientFor(config)
	return &Client{client, pageSize}, err
}

// Item decodes one object with read, and returns what is to be kept of it.
type Item func(read func(into any) error) (runtime.Object, error)

// List returns what is kept of all objects of a resource that there are now: in one namespace, or in all if it is empty. That is at least as
// new as whatever version the options ask for. Of the objects some may be skipped at once.
func (c *Client) List(ctx context.Context, resource, namespace string, o metav1.ListOptions, item Item, skip ...*json.Unmarshalers) (runtime.Object, error) {
	return listPages(o, c.size, func(o metav1.ListOptions) (*internalversion.List, error) {
		body, err := c.rest.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
			SpecificallyVersionedParams(&o, scheme.ParameterCodec, corev1.SchemeGroupVersion).
			SetHeader("Accept", runtime.ContentTypeJSON).Stream(ctx)
		if err != nil {
			return nil, err
		}
		page, err := decode(bufio.NewReaderSize(body, bufferSize), item, skip...)
		return page, errors.Join(err, body.Close())
	})
}

// ListerWatcher makes a reflector read with list, which is to be preferred to a stream of events (WatchList): there each object comes in an
// envelope, and is parsed by itself several times.
func ListerWatcher(list cache.ListWithContextFunc, watch cache.WatchFuncWithContext) cache.ListerWatcher {
	return preferred{&cache.ListWatch{ListWithContextFunc: list, WatchFuncWithContext: watch}}
}

type preferred struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported implements what reflectors ask for that.
func (preferred) IsWatchListSemanticsUnSupported() bool { return true }

// listPages puts pages together. What a page had that broke is not in it.
func listPages(o metav1.ListOptions, size int64, page func(metav1.ListOptions) (*internalversion.List, error)) (*internalversion.List, error) {
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit = "", "", size
	all := &internalversion.List{}
	for {
		p, err := page(o)
		if apierrors.IsResourceExpired(err) && o.Continue != "" { // this took longer than the API server remembers
			o.Continue, o.Limit, all.Items = "", 0, nil
			continue
		}
		if err != nil {
			return nil, err
		}
		all.Items = append(all.Items, p.Items...)
		if o.Continue = p.Continue; o.Continue == "" {
			all.ResourceVersion = p.ResourceVersion
			return all, nil
		}
	}
}

var errIncomplete = errors.New("pages: the API server's list is not complete")
