package kubernetes_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

func create(t *testing.T, r *replica, g *store.Grant) {
	t.Helper()
	if err := r.Create(t.Context(), g, store.NoLimit); err != nil {
		t.Fatal(err)
	}
}

// again is the grant as a second redemption of the same code would ask for it.
func again(t *testing.T, g *store.Grant) *store.Grant {
	t.Helper()
	next := *g
	next.Attempt = newID(t)
	return &next
}

func TestOneOfAHundredAcrossReplicas(t *testing.T) {
	namespace := newNamespace(t)
	replicas := []*replica{newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)}
	grant := newGrant(t)
	var created, existed atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		attempt := again(t, grant)
		wg.Go(func() {
			err := replicas[i%2].Create(t.Context(), attempt, store.NoLimit)
			switch {
			case err == nil:
				created.Add(1)
			case errors.Is(err, store.ErrExists):
				existed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 || existed.Load() != 99 {
		t.Errorf("%d created it and %d were told that it exists", created.Load(), existed.Load())
	}
	if n := replicas[0].writes.Load() + replicas[1].writes.Load(); n > 2 {
		t.Errorf("%d requests to write, want one for each replica at most", n)
	}
}

func TestCreateIsOneWriteAndAReplayNone(t *testing.T) {
	r := newReplica(t, cluster, newNamespace(t), nil, nil)
	grant := newGrant(t)
	create(t, r, grant)
	if err := r.Create(t.Context(), again(t, grant), store.NoLimit); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	if n := r.writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestAGrantOfAnotherReplicaIsFoundAtOnce(t *testing.T) {
	namespace := newNamespace(t)
	a, b := newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)
	for range 50 {
		grant := newGrant(t)
		create(t, a, grant)
		got, err := b.Get(t.Context(), grant.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Attempt != grant.Attempt || !got.ExpiresAt.Equal(grant.ExpiresAt) || !got.AuthTime.Equal(grant.AuthTime) {
			t.Fatalf("got %+v, want %+v", got, grant)
		}
	}
}

// A deleted grant is a revoked one, and its code is not good for another.
func TestCodeReplayAfterKubectlDelete(t *testing.T) {
	namespace := newNamespace(t)
	a, b := newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)
	grant := newGrant(t)
	create(t, a, grant)
	if _, _, err := cluster.Kubectl(t.Context(), "delete", "oauthgrant", "--namespace="+namespace, grant.ID); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{a, b} {
		eventually(t, "the watch tells of it", func(context.Context) (bool, error) { return r.SawDeleted(grant.ID), nil })
		if _, err := r.Get(t.Context(), grant.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get: %v", err)
		}
	}
	for range 3 {
		for _, r := range []*replica{a, b} {
			if err := r.Create(t.Context(), again(t, grant), store.NoLimit); !errors.Is(err, store.ErrExists) {
				t.Errorf("the code of a deleted grant: %v", err)
			}
		}
	}
	if err := a.Revoke(t.Context(), grant.ID, store.ReasonCodeReplayed, time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoke: %v", err)
	}
}

func TestTenantsOwnOAuthGrant(t *testing.T) {
	operator, tenant := newNamespace(t), newNamespace(t)
	r := newReplica(t, cluster, operator, nil, nil)
	theirs := newReplica(t, cluster, tenant, nil, nil)
	grant := newGrant(t)
	create(t, theirs, grant)
	if _, err := r.Get(t.Context(), grant.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a grant in a tenant's namespace: %v", err)
	}
	create(t, r, again(t, grant)) // nor can they take an id
}

func TestRevokeKeepsTheFirst(t *testing.T) {
	namespace := newNamespace(t)
	a, b := newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)
	grant := newGrant(t)
	create(t, a, grant)
	at := time.Now().UTC().Truncate(time.Second)
	if err := a.Revoke(t.Context(), grant.ID, store.ReasonCodeReplayed, at); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Get(t.Context(), grant.ID); err != nil || got.Alive(at) {
		t.Fatalf("its own revocation is not seen at once: %+v, %v", got, err)
	}
	if err := b.Revoke(t.Context(), grant.ID, "Later", at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other replica sees it", func(ctx context.Context) (bool, error) {
		got, err := b.Get(ctx, grant.ID)
		return err == nil && got.RevokedAt.Equal(at) && got.RevokedReason == store.ReasonCodeReplayed, err
	})
	if err := a.Create(t.Context(), again(t, grant), store.NoLimit); !errors.Is(err, store.ErrExists) {
		t.Errorf("the code of a revoked grant: %v", err)
	}
}

func TestRevocationsAtOnceLeaveOne(t *testing.T) {
	namespace := newNamespace(t)
	replicas := []*replica{newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)}
	grant := newGrant(t)
	create(t, replicas[0], grant)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := replicas[i%2].Revoke(t.Context(), grant.ID, store.ReasonCodeReplayed, time.Unix(int64(1e9+i), 0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	first := storedObject(t, namespace, grant.ID)
	if first.Status.RevokedAt == nil {
		t.Fatal("not revoked")
	}
	if err := replicas[1].Revoke(t.Context(), grant.ID, "Later", time.Unix(2e9, 0)); err != nil {
		t.Fatal(err)
	}
	if last := storedObject(t, namespace, grant.ID); !last.Status.RevokedAt.Equal(first.Status.RevokedAt) {
		t.Errorf("revoked at %v, then at %v", first.Status.RevokedAt, last.Status.RevokedAt)
	}
}

// security.md: `*/status` written by somebody else. Whoever may, can revoke; nobody can take a revocation back.
func TestAStatusTamperedWith(t *testing.T) {
	namespace := newNamespace(t)
	r := newReplica(t, cluster, namespace, nil, nil)
	grant := newGrant(t)
	create(t, r, grant)
	patch := func(status string) error {
		_, _, err := cluster.Kubectl(t.Context(), "patch", "oauthgrant", grant.ID, "--namespace="+namespace, "--subresource=status", "--type=merge", `--patch={"status":`+status+`}`)
		return err
	}
	if err := patch(`{"revokedAt":"2030-01-01T00:00:00Z","revokedReason":"ByHand"}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a revocation by hand counts", func(ctx context.Context) (bool, error) {
		got, err := r.Get(ctx, grant.ID)
		return err == nil && !got.Alive(time.Now()), err
	})
	for _, status := range []string{`null`, `{"revokedAt":null}`, `{"revokedAt":"2031-01-01T00:00:00Z"}`} {
		if err := patch(status); err == nil || !strings.Contains(err.Error(), "a revocation is final") {
			t.Errorf("status %s: %v", status, err)
		}
	}
}

func storedObject(t *testing.T, namespace, id string) *v1alpha1.OAuthGrant {
	t.Helper()
	object := &v1alpha1.OAuthGrant{}
	if err := newClient(t, cluster.RESTConfig()).Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: id}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestOversizedGrantIsAnErrorAndNothingIsWritten(t *testing.T) {
	r := newReplica(t, cluster, newNamespace(t), nil, nil)
	grant := newGrant(t)
	grant.Scopes = []string{strings.Repeat("x", 129)}
	err := r.Create(t.Context(), grant, store.NoLimit)
	if err == nil || errors.Is(err, store.ErrExists) {
		t.Fatalf("got %v", err)
	}
	if _, err := r.Get(t.Context(), grant.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if n := r.writes.Load(); n != 1 {
		t.Errorf("%d requests for something that is refused each time", n)
	}
}

func TestMalformedIDsReachNoAPIServer(t *testing.T) {
	r := newReplica(t, cluster, newNamespace(t), nil, nil)
	for _, id := range []string{"", "../secrets/x", "a/b", "A", "a.b", strings.Repeat("a", 64), "a%2f", "a\n"} {
		if _, err := r.Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("get %q: %v", id, err)
		}
		if err := r.Revoke(t.Context(), id, store.ReasonCodeReplayed, time.Now()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("revoke %q: %v", id, err)
		}
		grant := newGrant(t)
		grant.ID = id
		if err := r.Create(t.Context(), grant, store.NoLimit); err == nil || errors.Is(err, store.ErrExists) {
			t.Errorf("create %q: %v", id, err)
		}
	}
	if n := r.writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}
