package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// writeAttempts is how often a write is tried whose outcome is not known.
const writeAttempts = 2

// advanceAttempts is how often a rotation is looked at: what is in memory, what is there, and what is there once the outcome of a
// write was not known, or somebody else had changed the grant.
const advanceAttempts = 5

// revokeAttempts is how often a revocation is tried when somebody else changes the grant, or the outcome is not known.
const revokeAttempts = 4

// Create implements store.Grants. It costs one request to the API server, none for an id that this replica knows.
func (s *Store) Create(ctx context.Context, g *store.Grant) error {
	if !validID(g.ID) || g.Attempt == "" {
		return errors.New("store/kubernetes: a grant needs a well-formed id and an attempt")
	}
	// One at a time for an id: a code that is presented a hundred times at once is one write, not a hundred.
	release, err := s.claims.acquire(ctx, g.ID)
	if err != nil {
		return err
	}
	defer release()
	if s.index.known(g.ID) {
		return store.ErrExists
	}
	for range writeAttempts {
		var settled bool
		if settled, err = s.tryCreate(ctx, g); settled {
			return err
		}
	}
	return err
}

// tryCreate writes once. When the outcome is not known, or the object is there already (it may be our own: client-go repeats some
// requests by itself), a live read decides. Not settled means: to be tried again.
func (s *Store) tryCreate(ctx context.Context, g *store.Grant) (settled bool, err error) {
	object, err := s.post(ctx, g)
	switch {
	case err == nil:
		s.index.put(newEntry(object))
		return true, nil
	case ctx.Err() != nil:
		return true, fmt.Errorf("store/kubernetes: create a grant: %w", context.Cause(ctx))
	case isRefused(err) && !apierrors.IsAlreadyExists(err):
		return true, fmt.Errorf("store/kubernetes: create a grant: %w", err)
	}
	stored, readErr := s.read(ctx, g.ID)
	switch {
	case readErr == nil:
		s.index.put(stored)
		if stored.grant.Attempt == g.Attempt {
			return true, nil
		}
		return true, store.ErrExists
	case !errors.Is(readErr, store.ErrNotFound):
		return true, fmt.Errorf("store/kubernetes: create a grant: the outcome is not known: %w", errors.Join(err, readErr))
	case apierrors.IsAlreadyExists(err): // and deleted since
		s.index.bury(g.ID, "")
		return true, store.ErrExists
	}
	return false, fmt.Errorf("store/kubernetes: create a grant: %w", err)
}

func (s *Store) post(ctx context.Context, g *store.Grant) (*v1alpha1.OAuthGrant, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := newObject(s.namespace, g)
	s.onWrite(VerbCreate)
	return object, s.client.Create(ctx, object, fieldOwner)
}

// Revoke implements store.Grants. The write is bound to the version in which the grant was seen alive, so that the first
// revocation stays.
func (s *Store) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e := s.index.get(id)
	if !validID(id) || (e == nil && s.index.buried(id)) {
		return store.ErrNotFound
	}
	var failure error
	for range revokeAttempts {
		if e == nil {
			var err error
			if e, err = s.read(ctx, id); err != nil {
				return err
			}
		}
		if !e.grant.RevokedAt.IsZero() {
			return nil
		}
		object, err := s.patchRevoked(ctx, e, reason, at)
		switch {
		case err == nil:
			s.index.put(newEntry(object))
			return nil
		case isAbsent(err):
			return store.ErrNotFound
		}
		failure = fmt.Errorf("store/kubernetes: revoke a grant: %w", err)
		if ctx.Err() != nil || isRefused(err) && !apierrors.IsConflict(err) {
			return failure
		}
		e = nil
	}
	return failure
}

func (s *Store) patchRevoked(ctx context.Context, e *entry, reason string, at time.Time) (*v1alpha1.OAuthGrant, error) {
	revokedAt := metav1.NewTime(at)
	return s.patchStatus(ctx, e, v1alpha1.OAuthGrantStatus{RevokedAt: &revokedAt, RevokedReason: reason})
}

// Rotate implements store.Grants. The write is bound to the version in which the grant was seen to be of the generation: the
// API server lets one of any number of replicas through. Whoever can't tell whether it was the one finds the next generation
// there already, which is a conflict like any other.
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
	e := s.index.get(id)
	if !validID(id) || (e == nil && s.index.buried(id)) {
		return nil, store.ErrNotFound
	}
	live := false
	var failure error
	for range advanceAttempts {
		if e == nil {
			if e, err = s.read(ctx, id); err != nil {
				return nil, err
			}
			live = true
		}
		if !e.grant.InForce(from) {
			if live {
				return e.grant, store.ErrConflict
			}
			e = nil // what is in memory may be old
			continue
		}
		next, settled, err := s.tryAdvance(ctx, e, e.grant.Advanced(to, rotatedAt, expiresAt))
		if settled {
			return next, err
		}
		failure, e = err, nil
	}
	return nil, failure
}

// tryAdvance writes once. Not settled means: to be looked at again, and tried again if it is still due.
func (s *Store) tryAdvance(ctx context.Context, e *entry, next *store.Grant) (written *store.Grant, settled bool, err error) {
	if next == e.grant {
		return next, true, nil
	}
	object, err := s.patchAdvanced(ctx, e, next)
	switch {
	case err == nil:
		made := newEntry(object)
		s.index.put(made)
		return made.grant, true, nil
	case isAbsent(err):
		return nil, true, store.ErrNotFound
	}
	settled = ctx.Err() != nil || isRefused(err) && !apierrors.IsConflict(err)
	return nil, settled, fmt.Errorf("store/kubernetes: rotate a grant: %w", err)
}

func (s *Store) patchAdvanced(ctx context.Context, e *entry, next *store.Grant) (*v1alpha1.OAuthGrant, error) {
	at, until := metav1.NewTime(next.RotatedAt), metav1.NewTime(next.ExpiresAt)
	return s.patchStatus(ctx, e, v1alpha1.OAuthGrantStatus{Generation: next.Generation, RotatedAt: &at, ExpiresAt: &until})
}

// statusPatch is a merge patch of the status, bound to one version of one object.
type statusPatch struct {
	Metadata struct {
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
	} `json:"metadata"`
	Status v1alpha1.OAuthGrantStatus `json:"status"`
}

func (s *Store) patchStatus(ctx context.Context, e *entry, status v1alpha1.OAuthGrantStatus) (*v1alpha1.OAuthGrant, error) {
	patch := statusPatch{Status: status}
	patch.Metadata.UID, patch.Metadata.ResourceVersion = e.uid, e.version
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: e.grant.ID}}
	s.onWrite(VerbPatch)
	return object, s.client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), fieldOwner)
}

// isRefused says whether the API server has said that it did not do what was asked. Everything else, 5xx and broken
// connections, leaves the outcome open.
func isRefused(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500
}

// isAbsent says whether there is no such object. A 404 that does not come from the resource itself, as while the kind is not
// served yet, says nothing about it.
func isAbsent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
