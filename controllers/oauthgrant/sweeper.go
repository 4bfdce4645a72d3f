// Package oauthgrant sweeps OAuthGrants that have expired or were revoked long enough ago, the OAuthDeviceAuthorizations that may have led to some, and OAuthSignOuts.
package oauthgrant

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	// Interval is the time between two sweeps.
	Interval = time.Minute
	// grace is how long an expired grant is kept: the longest lifetime of the code that it came from. While a grant exists, its
	// code can't be redeemed again, and a code that was redeemed at its very end must find it.
	grace = time.Minute
	// pageSize is how many objects are held in memory at once.
	pageSize = 500
	// deletesPerSecond bounds the load on the API server, and deleters are how many of them are under way at once. They have to keep up
	// with the sign-ins of a busy site, each of which leaves a grant to sweep.
	deletesPerSecond = 500
	deleters         = 4
)

// Sweeper deletes grants, device authorizations and sign-outs that expired more than a minute ago, and grants that were revoked and whose
// tokens have. It runs on the leader only.
type Sweeper struct {
	// Client deletes, and reads AuthorizationServers; Live reads without a cache: nobody else in the controller needs these objects in memory.
	Client client.Client
	Live   client.Reader
	// Namespace is the operator's namespace, where they are.
	Namespace string
	Now       func() time.Time
	Logger    logr.Logger
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (s *Sweeper) NeedLeaderElection() bool { return true }

// Start sweeps until the context ends. A sweep that fails is logged, and the next one tries again.
func (s *Sweeper) Start(ctx context.Context) error {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	for {
		deleted, err := s.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.Logger.Error(err, "sweep what has expired", "deleted", deleted)
		case deleted > 0:
			s.Logger.Info("swept what had expired", "deleted", deleted)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Sweep looks at all of them once and deletes those that have expired. It returns how many it
// deleted.
func (s *Sweeper) Sweep(ctx context.Context) (deleted int, err error) {
	limiter := rate.NewLimiter(deletesPerSecond, deletesPerSecond)
	issuers, err := s.accessTokens(ctx)
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, k := range kinds(issuers) {
		n, err := s.sweepKind(ctx, k, limiter)
		deleted += n
		failures = append(failures, err)
	}
	return deleted, errors.Join(failures...)
}

// kind is a kind whose objects expire.
type kind struct {
	name    string
	newList func() client.ObjectList
	expiry  func(client.Object) metav1.Time
}

func kinds(issuers accessTokens) []kind {
	return []kind{
		{"OAuthGrant", func() client.ObjectList { return &v1alpha1.OAuthGrantList{} },
			func(o client.Object) metav1.Time { return issuers.end(o.(*v1alpha1.OAuthGrant)) }},
		{"OAuthDeviceAuthorization", func() client.ObjectList { return &v1alpha1.OAuthDeviceAuthorizationList{} },
			func(o client.Object) metav1.Time { return o.(*v1alpha1.OAuthDeviceAuthorization).Spec.ExpiresAt }},
		{"OAuthSignOut", func() client.ObjectList { return &v1alpha1.OAuthSignOutList{} },
			func(o client.Object) metav1.Time { return o.(*v1alpha1.OAuthSignOut).Expiry() }},
	}
}

func (s *Sweeper) sweepKind(ctx context.Context, k kind, limiter *rate.Limiter) (deleted int, err error) {
	var (
		next    string
		failure error
	)
	for {
		page := k.newList()
		err := s.Live.List(ctx, page, client.InNamespace(s.Namespace), client.Limit(pageSize), client.Continue(next))
		if apierrors.IsResourceExpired(err) {
			return deleted, failure // the list has grown too old to go on with; the next sweep starts anew
		}
		if err != nil {
			return deleted, errors.Join(failure, fmt.Errorf("list %ss: %w", k.name, err))
		}
		n, err := s.sweepPage(ctx, k, page, limiter)
		deleted += n
		if err != nil && failure == nil {
			failure = err // one object that can't be deleted does not keep the others
		}
		if next = page.GetContinue(); next == "" || ctx.Err() != nil {
			return deleted, failure
		}
	}
}

// sweepPage deletes those objects of a page that have expired, and returns the first failure.
func (s *Sweeper) sweepPage(ctx context.Context, k kind, page client.ObjectList, limiter *rate.Limiter) (int, error) {
	var (
		deleted atomic.Int64
		group   errgroup.Group
	)
	group.SetLimit(deleters)
	err := meta.EachListItem(page, func(item runtime.Object) error {
		group.Go(func() error {
			gone, err := s.sweep(ctx, k, item.(client.Object), limiter)
			if gone {
				deleted.Add(1)
			}
			return err
		})
		return nil
	})
	failure := group.Wait()
	return int(deleted.Load()), errors.Join(err, failure)
}

func (s *Sweeper) sweep(ctx context.Context, k kind, object client.Object, limiter *rate.Limiter) (bool, error) {
	expiry := k.expiry(object)
	if !s.Now().After(expiry.Add(grace)) {
		return false, nil
	}
	if err := limiter.Wait(ctx); err != nil {
		return false, err
	}
	uid := object.GetUID()
	err := s.Client.Delete(ctx, object, client.Preconditions{UID: &uid})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete %s %s: %w", k.name, object.GetName(), err)
	}
	return true, nil
}
