package size

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	// concurrency is that of the controller.
	concurrency = 8
	// creators is how many create clients at once.
	creators = 16
	// reconcileTarget is how much of the API server's write rate the controller should make use of.
	reconcileTarget  = 0.8
	reconcileTimeout = time.Hour
)

// reconcile times the controller on new clients, from the start of its process: leader election, cold cache, and for each client its Secret
// and its status. What the same writes take without a controller is measured just before and just after.
func (b *bench) reconcile(ctx context.Context) error {
	n := b.Objects / 10
	if err := b.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}); err != nil {
		return err
	}
	earlier, err := b.bare(ctx, n)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.create(ctx, "new", n); err != nil {
		return err
	}
	b.note("clients created by the API, 16 at a time", float64(n)/time.Since(began).Seconds(), "1/s")
	before, err := b.requests(ctx)
	if err != nil {
		return err
	}
	rate, err := b.timeController(ctx, n)
	if err != nil {
		return err
	}
	after, err := b.requests(ctx)
	if err != nil {
		return err
	}
	if err := b.forget(ctx); err != nil {
		return err
	}
	later, err := b.bare(ctx, n)
	if err != nil {
		return err
	}
	bare := (earlier + later) / 2
	b.note("a client's Secret and status written by a bare loop, 8 at a time, before", earlier, "clients/s")
	b.note("and after", later, "clients/s")
	b.note(fmt.Sprintf("controller: %d new clients reconciled, cold", n), rate, "clients/s")
	b.note("controller: rate of reconciling, of that of the bare loop", rate/bare, "×", atLeast(reconcileTarget))
	b.note("controller: writes a client", after.since(before).writes()/float64(n), "")
	b.Tell("  requests: %v", after.since(before))
	return nil
}

// create makes n clients by the API.
func (b *bench) create(ctx context.Context, prefix string, n int) error {
	source, err := site.CopyOf(b.SourceObject(), func(*v1alpha1.OAuthClient) {})
	if err != nil {
		return err
	}
	return parallel(ctx, n, creators, func(ctx context.Context, i int) error {
		var created v1alpha1.OAuthClient
		_, err := site.CopyOf(source, func(c *v1alpha1.OAuthClient) { created = *c })
		if err != nil {
			return err
		}
		created.ObjectMeta, created.Status = metav1.ObjectMeta{Namespace: "new", Name: fmt.Sprintf("%s-%06d", prefix, i)}, v1alpha1.OAuthClientStatus{ObservedGeneration: -1}
		created.Spec.Authentication.ClientSecret.SecretName = created.Name + "-oauth"
		created.Spec.Resources = nil // those of another namespace would have to be allowed there
		return b.Admin.Create(ctx, &created)
	})
}

// bare makes the writes that a client needs, for n clients of its own, and returns how many a second were served.
func (b *bench) bare(ctx context.Context, n int) (float64, error) {
	if err := b.create(ctx, "bare", n); err != nil {
		return 0, err
	}
	var secret corev1.Secret
	if err := b.Admin.Get(ctx, client.ObjectKey{Namespace: site.SourceNamespace, Name: site.SourceClient + "-oauth"}, &secret); err != nil {
		return 0, err
	}
	var source v1alpha1.OAuthClient
	if err := b.Admin.Get(ctx, client.ObjectKey{Namespace: site.SourceNamespace, Name: site.SourceClient}, &source); err != nil {
		return 0, err
	}
	var all v1alpha1.OAuthClientList
	if err := b.Admin.List(ctx, &all, client.InNamespace("new")); err != nil {
		return 0, err
	}
	began := time.Now()
	err := parallel(ctx, n, concurrency, func(ctx context.Context, i int) error {
		c, s := &all.Items[i], secret.DeepCopy()
		s.ObjectMeta = metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name + "-oauth", Labels: secret.Labels, Annotations: secret.Annotations}
		s.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(c, v1alpha1.GroupVersion.WithKind("OAuthClient"))}
		if err := b.Admin.Create(ctx, s); err != nil {
			return err
		}
		patched := c.DeepCopy()
		patched.Status = source.Status
		return b.AsController.Status().Patch(ctx, patched, client.MergeFromWithOptions(c, client.MergeFromWithOptimisticLock{}))
	})
	rate := float64(n) / time.Since(began).Seconds()
	return rate, errors.Join(err, b.forget(ctx))
}

// forget removes the clients and their Secrets from etcd.
func (b *bench) forget(ctx context.Context) error {
	err := errors.Join(b.Etcd.Remove(ctx, site.KeyOf("oauthclients", "new", "")), b.Etcd.Remove(ctx, "/registry/secrets/new/"))
	if err != nil {
		return err
	}
	return site.Poll(ctx, site.VisibleTimeout, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		var left v1alpha1.OAuthClientList
		err := b.Admin.List(ctx, &left, client.InNamespace("new"), client.Limit(1))
		return len(left.Items) == 0, err
	})
}

// timeController starts a controller and returns how many clients a second got ready.
func (b *bench) timeController(ctx context.Context, n int) (_ float64, err error) {
	w, err := b.Admin.Watch(ctx, &v1alpha1.OAuthClientList{}, client.InNamespace("new"))
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	began := time.Now()
	controller, err := b.StartController(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, controller.Close()) }()
	deadline := time.NewTimer(reconcileTimeout)
	defer deadline.Stop()
	for ready := map[string]bool{}; len(ready) < n; {
		select {
		case event, open := <-w.ResultChan():
			if !open {
				return 0, errors.New("the watch has ended")
			}
			if c, ok := event.Object.(*v1alpha1.OAuthClient); ok && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
				ready[c.Name] = true
			}
		case <-controller.Done():
			return 0, controller.Failure()
		case <-deadline.C:
			return 0, fmt.Errorf("%d of %d clients are ready after %v\n%s", len(ready), n, reconcileTimeout, controller.Tail())
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// parallel calls do for each of n, some at a time.
func parallel(ctx context.Context, n, workers int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range workers {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(ctx, int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// requests counts the API server's requests by verb and resource.
type requests map[string]float64

// since is what came after an earlier count.
func (r requests) since(before requests) requests {
	out := requests{}
	for k, v := range r {
		if v > before[k] {
			out[k] = v - before[k]
		}
	}
	return out
}

// writes are those that change an object, leases aside: electing a leader takes its own time.
func (r requests) writes() float64 {
	var n float64
	for k, v := range r {
		verb, resource, _ := strings.Cut(k, " ")
		switch verb {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
			if resource != "leases" {
				n += v
			}
		}
	}
	return n
}
