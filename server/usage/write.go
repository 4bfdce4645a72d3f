package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// fieldOwner owns what is written here.
const fieldOwner = client.FieldOwner("latchkey-server")

// writeAttempts is how often a write is tried at the end, when somebody else is quicker.
const writeAttempts = 2

// follow has every client looked at whose secrets or usage change, and waits until all are known.
func (r *Recorder) follow(ctx context.Context) error {
	informer, err := r.Cache.GetInformer(ctx, &v1alpha1.OAuthClient{})
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) {
			if c, ok := o.(*v1alpha1.OAuthClient); ok && len(c.Status.SecretUsage) > 0 {
				r.mark(targetOf(c), time.Time{})
			}
		},
		UpdateFunc: func(before, after any) {
			b, isClient := before.(*v1alpha1.OAuthClient)
			if a, ok := after.(*v1alpha1.OAuthClient); ok && isClient && changed(b, a) {
				r.mark(targetOf(b), time.Time{})
				r.mark(targetOf(a), time.Time{})
			}
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if c, ok := o.(*v1alpha1.OAuthClient); ok {
				r.mark(targetOf(c), time.Time{})
			}
		},
	})
	if err != nil {
		return err
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return ctx.Err()
	}
	return nil
}

func changed(before, after *v1alpha1.OAuthClient) bool {
	return before.UID != after.UID || !equality.Semantic.DeepEqual(before.Status.SecretUsage, after.Status.SecretUsage) ||
		!equality.Semantic.DeepEqual(before.Status.Secrets, after.Status.Secrets)
}

func targetOf(c *v1alpha1.OAuthClient) target {
	return target{client.ObjectKeyFromObject(c), string(c.UID)}
}

// wanted says whether the status of a client should be written now, as far as the cache knows.
func (r *Recorder) wanted(ctx context.Context, t target) bool {
	c, p, err := r.look(ctx, r.Cache, t)
	if err != nil {
		r.failed(t, err)
	}
	return c != nil && p.isDue()
}

// look compares the status of a client with what is known here. The client is nil when there is none any more.
func (r *Recorder) look(ctx context.Context, reader client.Reader, t target) (*v1alpha1.OAuthClient, *plan, error) {
	c := &v1alpha1.OAuthClient{}
	err := reader.Get(ctx, t.key, c)
	if client.IgnoreNotFound(err) != nil {
		return nil, nil, fmt.Errorf("read the client: %w", err)
	}
	if err != nil || string(c.UID) != t.uid || !c.DeletionTimestamp.IsZero() {
		r.memory.forget(t.uid)
		r.succeeded(t)
		return nil, nil, nil
	}
	now, again := r.Now(), r.again(t)
	p := planFor(c, func(id string) int64 { return r.memory.last(t.uid, id) }, now, again)
	r.memory.settle(t.uid, p, now.Unix(), again, int64(r.Interval/time.Second))
	return c, p, nil
}

// again is after how many seconds what status tells of a client is written again: Interval and up to a tenth of it, so that clients
// that began together, and the replicas, don't stay together.
func (r *Recorder) again(t target) int64 {
	whole := int64(r.Interval / time.Second)
	return whole + int64(maphash.String(r.seed, t.uid)%uint64(whole/10+1))
}

// write writes the status of a client if it should be, as the reader has it.
func (r *Recorder) write(ctx context.Context, reader client.Reader, t target, should func(*plan) bool) error {
	var err error
	for range writeAttempts {
		c, p, failure := r.look(ctx, reader, t)
		if failure != nil || c == nil || !should(p) {
			return failure
		}
		err = r.patch(ctx, c, p.usage)
		switch {
		case err == nil:
			r.OnWrite(Written)
			r.succeeded(t)
			return nil
		case apierrors.IsNotFound(err): // which an event tells, too
			return nil
		case !apierrors.IsConflict(err):
			r.OnWrite(Failed)
			return err
		}
		r.OnWrite(Conflicted)
		if reader == client.Reader(r.Cache) { // which has not heard of it yet
			r.mark(t, time.Time{})
			return nil
		}
	}
	return err
}

// usagePatch is a merge patch of the status, bound to one version of one object.
type usagePatch struct {
	Metadata struct {
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
	} `json:"metadata"`
	Status struct {
		// SecretUsage replaces the whole list; null removes it.
		SecretUsage []v1alpha1.ClientSecretUsage `json:"secretUsage"`
	} `json:"status"`
}

func (r *Recorder) patch(ctx context.Context, c *v1alpha1.OAuthClient, usage []v1alpha1.ClientSecretUsage) error {
	var patch usagePatch
	patch.Metadata.UID, patch.Metadata.ResourceVersion, patch.Status.SecretUsage = c.UID, c.ResourceVersion, usage
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}}
	return r.Client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), fieldOwner)
}
