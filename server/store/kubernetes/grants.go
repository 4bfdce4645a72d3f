package kubernetes

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/lookup"
)

// Store implements store.Grants. It answers before Start and before it is synced too, then by live reads.
type Store struct {
	*objects[store.Grant, *v1alpha1.OAuthGrant]
	lookup lookup.Index
	claims claims
}

var _ store.Grants = (*Store)(nil)

// New makes a Store. Start must run for it to read from memory and to learn of deletions.
func New(c Config) (*Store, error) {
	s := &Store{}
	var err error
	s.objects, err = newObjects(c, grantKind(), s.lookup.Replace)
	return s, err
}

func grantKind() kind[store.Grant, *v1alpha1.OAuthGrant] {
	return kind[store.Grant, *v1alpha1.OAuthGrant]{
		noun:     "grant",
		resource: "oauthgrants",
		empty:    func() *v1alpha1.OAuthGrant { return &v1alpha1.OAuthGrant{} },
		list:     func() client.ObjectList { return &v1alpha1.OAuthGrantList{} },
		encode:   newGrantObject,
		decode:   newGrantEntry,
		same:     func(stored, g *store.Grant) bool { return stored.Attempt == g.Attempt },
		// One that is over, as far as memory knows, another replica may have refreshed.
		lasting: func(g *store.Grant, now time.Time) bool { return now.Before(g.ExpiresAt) || !g.RevokedAt.IsZero() },
	}
}

// Get implements store.Grants.
func (s *Store) Get(ctx context.Context, id string) (*store.Grant, error) { return s.get(ctx, id) }

// Known implements store.Grants.
func (s *Store) Known(_ context.Context, id string) *store.Grant { return s.known(id) }

// errNotCurrent is returned by Find while the watch is not alive. All grants are never read for one request: an API server that
// can be read would have brought the watch back.
var errNotCurrent = errors.New("store/kubernetes: what the watch told of the grants is too old to find any by it")

// Find implements store.Grants. It reads from memory alone.
func (s *Store) Find(ctx context.Context, q store.Query) ([]*store.Grant, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.Current() {
		return nil, errNotCurrent
	}
	return s.lookup.Find(q)
}

// Create implements store.Grants. The user's grants are counted in memory, while the watch is alive. It costs one request to the API server, none for an id that this replica knows. One at a time
// for an id: a code that is presented a hundred times at once is one write, not a hundred.
func (s *Store) Create(ctx context.Context, g *store.Grant, limit int) error {
	if !validID(g.ID) || g.Attempt == "" {
		return errors.New("store/kubernetes: a grant needs a well-formed id and an attempt")
	}
	if limit != store.NoLimit && s.Current() && s.lookup.Count(g.UserUID) >= limit {
		return store.ErrTooMany
	}
	release, err := s.claims.acquire(ctx, g.ID)
	if err != nil {
		return err
	}
	defer release()
	return s.create(ctx, g.ID, g)
}

// Revoke implements store.Grants.
func (s *Store) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	revokedAt := metav1.NewTime(at)
	_, err := s.update(ctx, id, func(g *store.Grant) (any, error) {
		if !g.RevokedAt.IsZero() {
			return nil, nil
		}
		return v1alpha1.OAuthGrantStatus{RevokedAt: &revokedAt, RevokedReason: reason}, nil
	})
	return err
}

// Rotate implements store.Grants. Whoever can't tell whether it was the one that the API server let through finds the next
// generation there already, which is a conflict like any other.
func (s *Store) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	return s.advance(ctx, id, from, from+1, rotatedAt, expiresAt)
}

// Renew implements store.Grants.
func (s *Store) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	return s.advance(ctx, id, generation, generation, rotatedAt, expiresAt)
}

// advance lets one caller at a time try: of a hundred that present a refresh token at once, each replica sends one write.
func (s *Store) advance(ctx context.Context, id string, from, to int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	release, err := s.claims.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	return s.update(ctx, id, func(g *store.Grant) (any, error) {
		if !g.InForce(from) {
			return nil, store.ErrConflict
		}
		next := g.Advanced(to, rotatedAt, expiresAt)
		if next == g {
			return nil, nil
		}
		at, until := metav1.NewTime(next.RotatedAt), metav1.NewTime(next.ExpiresAt)
		return v1alpha1.OAuthGrantStatus{Generation: next.Generation, RotatedAt: &at, ExpiresAt: &until}, nil
	})
}
