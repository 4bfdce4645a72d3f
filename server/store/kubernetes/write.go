package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/retry"
)

// createAttempts is how often a creation is tried whose outcome is not known.
const createAttempts = 2

// create stores a value under a name that was never used, else it is store.ErrExists.
func (s *objects[V, O]) create(ctx context.Context, name string, value *V) error {
	if s.index.known(name) {
		return store.ErrExists
	}
	end, err := s.turns.take(ctx) // for finding out what came of it, too
	if err != nil {
		return s.failed("create", err)
	}
	defer end()
	var failure error
	for range createAttempts {
		settled, err := s.tryCreate(ctx, name, value)
		if settled {
			return err
		}
		failure = err
	}
	return failure
}

// tryCreate writes once. When the outcome is not known, or the object is there already (it may be our own: client-go repeats some
// requests by itself), a live read decides. Not settled means: to be tried again.
func (s *objects[V, O]) tryCreate(ctx context.Context, name string, value *V) (settled bool, err error) {
	created, err := s.post(ctx, value)
	switch {
	case err == nil:
		s.index.put(created)
		return true, nil
	case ctx.Err() != nil:
		return true, s.failed("create", context.Cause(ctx))
	case isRefused(err) && !apierrors.IsAlreadyExists(err):
		return true, s.failed("create", err)
	}
	stored, readErr := s.read(ctx, name)
	switch {
	case readErr == nil:
		s.index.put(stored)
		if s.kind.same(stored.value, value) {
			return true, nil
		}
		return true, store.ErrExists
	case !errors.Is(readErr, store.ErrNotFound):
		return true, fmt.Errorf("%w; the outcome is not known: %w", s.failed("create", err), readErr)
	case apierrors.IsAlreadyExists(err): // and deleted since
		s.index.bury(name, "")
		return true, store.ErrExists
	}
	return false, s.failed("create", err)
}

func (s *objects[V, O]) post(ctx context.Context, value *V) (*entry[V], error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := s.kind.encode(s.namespace, value)
	s.onWrite(VerbCreate)
	if err := s.client.Create(ctx, object, fieldOwner); err != nil {
		return nil, err
	}
	return s.kind.decode(object), nil
}

// nextFunc answers what is to be merged into the status of a value's object: nil for nothing, an error for a refusal.
type nextFunc[V any] func(value *V) (status any, err error)

// update writes the status that is next, bound to the version of which it is the next: the API server lets one of any number of
// replicas through, and whoever comes too late looks again. What it returns is the value as it is then, with a refusal too. What is
// in memory may be old, so a refusal is one only when it is that of a live read.
func (s *objects[V, O]) update(ctx context.Context, name string, next nextFunc[V]) (*V, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.index.get(name) == nil && s.absent(name) {
		return nil, store.ErrNotFound
	}
	end, err := s.turns.take(ctx)
	if err != nil {
		return nil, s.failed("update", err)
	}
	defer end()
	e, live := s.index.get(name), false
	var failure error
	for tried := (retry.Bound{}); tried.Left(); tried.Count(apierrors.IsConflict(failure)) {
		if e == nil {
			var err error
			if e, err = s.read(ctx, name); err != nil {
				return nil, err
			}
			live = true
		}
		status, err := next(e.value)
		switch {
		case err != nil && !live:
			e = nil
			continue
		case err != nil, status == nil:
			return e.value, err
		}
		written, settled, err := s.tryPatch(ctx, e, status)
		if settled {
			return written, err
		}
		failure, e = err, nil
	}
	return nil, failure
}

// tryPatch writes once. Not settled means: to be looked at again, and tried again if it is still due.
func (s *objects[V, O]) tryPatch(ctx context.Context, e *entry[V], status any) (written *V, settled bool, err error) {
	patched, err := s.patch(ctx, e, status)
	switch {
	case err == nil:
		s.index.put(patched)
		return patched.value, true, nil
	case isAbsent(err):
		return nil, true, store.ErrNotFound
	}
	settled = ctx.Err() != nil || isRefused(err) && !apierrors.IsConflict(err)
	return nil, settled, s.failed("update", err)
}

// statusPatch is a merge patch of the status, bound to one version of one object.
type statusPatch struct {
	Metadata struct {
		UID             types.UID `json:"uid"`
		ResourceVersion string    `json:"resourceVersion"`
	} `json:"metadata"`
	Status any `json:"status"`
}

func (s *objects[V, O]) patch(ctx context.Context, e *entry[V], status any) (*entry[V], error) {
	patch := statusPatch{Status: status}
	patch.Metadata.UID, patch.Metadata.ResourceVersion = e.uid, e.version
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object := s.kind.empty()
	object.SetNamespace(s.namespace)
	object.SetName(e.name)
	s.onWrite(VerbPatch)
	if err := s.client.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, body), fieldOwner); err != nil {
		return nil, err
	}
	return s.kind.decode(object), nil
}

// isRefused says whether the API server has said that it did not do what was asked. Everything else, 5xx and broken
// connections, leaves the outcome open.
func isRefused(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500
}
