package oauthgrant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

const (
	// purgeTimeout bounds one attempt, which goes on where the one before ended.
	purgeTimeout = 5 * time.Minute
	// purgeRetry and purgeRetryLongest bound the time between two attempts.
	purgeRetry        = time.Second
	purgeRetryLongest = 5 * time.Minute
	// purgeAttempts is how often it is tried: what is left expires by itself.
	purgeAttempts = 50
)

// Purger deletes the grants of OAuthClients that are deleted, where they are kept outside Kubernetes. It only tidies up: a deleted client's tokens
// are refused for the client's own sake, and its grants expire. So what is deleted while no leader looks is left to that.
type Purger struct {
	// Cache tells of OAuthClients that go; Client reads AuthorizationServers and Secrets.
	Cache  cache.Cache
	Client client.Reader
	// Namespace is the operator's namespace.
	Namespace string
	// Purge deletes the grants of the client with the UID in the place that the data of a Secret names.
	Purge  func(ctx context.Context, secret map[string][]byte, clientUID string) error
	Logger logr.Logger
}

// gone is a client that was deleted.
type gone struct{ authorizationServer, uid string }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (p *Purger) NeedLeaderElection() bool { return true }

// Start purges until the context ends.
func (p *Purger) Start(ctx context.Context) error {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[gone](purgeRetry, purgeRetryLongest))
	defer queue.ShutDown()
	informer, err := p.Cache.GetInformer(ctx, &v1alpha1.OAuthClient{})
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
		if tombstone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = tombstone.Obj
		}
		if c, ok := object.(*v1alpha1.OAuthClient); ok {
			queue.Add(gone{compile.EffectiveAuthorizationServer(c.Spec.AuthorizationServerName), string(c.UID)})
		}
	}})
	if err != nil {
		return err
	}
	defer func() { _ = informer.RemoveEventHandler(registration) }() // the manager ends
	go func() {
		<-ctx.Done()
		queue.ShutDown()
	}()
	for p.next(ctx, queue) {
	}
	return nil
}

// next purges what one client has left; false when there will be no more.
func (p *Purger) next(ctx context.Context, queue workqueue.TypedRateLimitingInterface[gone]) bool {
	c, over := queue.Get()
	if over {
		return false
	}
	defer queue.Done(c)
	switch err := p.purge(ctx, c); {
	case err == nil || ctx.Err() != nil:
		queue.Forget(c)
	case queue.NumRequeues(c) >= purgeAttempts:
		queue.Forget(c)
		p.Logger.Error(err, "the grants of a deleted client are left to expire", "uid", c.uid)
	default:
		p.Logger.Error(err, "purge the grants of a deleted client; it is tried again", "uid", c.uid)
		queue.AddRateLimited(c)
	}
	return true
}

func (p *Purger) purge(ctx context.Context, c gone) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	var as v1alpha1.AuthorizationServer
	if err := p.Client.Get(ctx, client.ObjectKey{Name: c.authorizationServer}, &as); err != nil || as.Spec.Storage == nil {
		return client.IgnoreNotFound(err)
	}
	var secret corev1.Secret
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: as.Spec.Storage.Valkey.SecretRef.Name}, &secret)
	if apierrors.IsNotFound(err) {
		return errors.New("the Secret of the storage is not there")
	}
	if err != nil {
		return fmt.Errorf("read the Secret of the storage: %w", err)
	}
	return p.Purge(ctx, secret.Data, c.uid)
}
