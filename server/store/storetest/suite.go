package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

func testRoundTrip(t *testing.T, h Harness) {
	for name, change := range map[string]func(*store.Grant){
		"all members":  func(*store.Grant) {},
		"no resources": func(g *store.Grant) { g.Targets = nil; g.Scopes = []string{"openid"} },
		"kubernetes": func(g *store.Grant) {
			g.Targets = []store.Target{{Resource: "https://k8s.svc", Scopes: []string{"kubernetes"}}}
		},
		"long name of user": func(g *store.Grant) { g.User = "a-name.of-a-user.that-is-quite-long.example" },
	} {
		g := NewGrant()
		change(g)
		create(t, h.Grants, g)
		t.Run(name, func(t *testing.T) { wantGrant(t, get(t, h.Grants, g.ID), g) })
	}
}

func testNoAliasing(t *testing.T, h Harness) {
	g := NewGrant()
	want := *g
	want.Scopes = append([]string{}, g.Scopes...)
	want.Targets = []store.Target{{Resource: g.Targets[0].Resource, Scopes: append([]string{}, g.Targets[0].Scopes...)}, g.Targets[1]}
	create(t, h.Grants, g)
	g.Scopes[0], g.Targets[0].Resource, g.Targets[0].Scopes[0], g.User = "changed", "changed", "changed", "changed"
	wantGrant(t, get(t, h.Grants, want.ID), &want)
}

func testReplicaGets(t *testing.T, h Harness) {
	for range 20 {
		g := NewGrant()
		create(t, h.Grants, g)
		wantGrant(t, get(t, h.Replica, g.ID), g)
	}
}

func testUnknown(t *testing.T, h Harness) {
	_, err := h.Grants.Get(t.Context(), newID())
	wantError(t, "Get", err, store.ErrNotFound)
	err = h.Grants.Revoke(t.Context(), newID(), store.ReasonCodeReplayed, time.Now())
	wantError(t, "Revoke", err, store.ErrNotFound)
}

func testExists(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	for i := range 3 {
		other := again(g)
		other.User, other.ClientID = "mallory", "other.client"
		wantError(t, fmt.Sprintf("Create %d", i), h.Grants.Create(t.Context(), other, store.NoLimit), store.ErrExists)
		wantError(t, fmt.Sprintf("Create %d at the replica", i), h.Replica.Create(t.Context(), again(g), store.NoLimit), store.ErrExists)
	}
	wantGrant(t, get(t, h.Grants, g.ID), g)
}

func testCreateOnce(t *testing.T, h Harness) {
	g := NewGrant()
	handles := []store.Grants{h.Grants, h.Replica}
	attempts := make([]*store.Grant, 100)
	errs := make([]error, len(attempts))
	inParallel(len(attempts), func(i int) {
		attempts[i] = again(g)
		errs[i] = handles[i%2].Create(t.Context(), attempts[i], store.NoLimit)
	})
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Errorf("both attempt %d and attempt %d created the grant", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, store.ErrExists):
			t.Errorf("attempt %d: got error %v, want %v", i, err, store.ErrExists)
		}
	}
	if winner < 0 {
		t.Fatal("no attempt created the grant")
	}
	wantGrant(t, get(t, h.Replica, g.ID), attempts[winner])
}

func testExistsAfterRevoke(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	if err := h.Grants.Revoke(t.Context(), g.ID, store.ReasonCodeReplayed, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Create", h.Grants.Create(t.Context(), again(g), store.NoLimit), store.ErrExists)
	wantError(t, "Create at the replica", h.Replica.Create(t.Context(), again(g), store.NoLimit), store.ErrExists)
}

func testExistsAfterDelete(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	if err := h.Delete(t.Context(), g.ID); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]store.Grants{"one": h.Grants, "replica": h.Replica} {
		_, err := s.Get(t.Context(), g.ID)
		wantError(t, name+": Get", err, store.ErrNotFound)
		wantError(t, name+": Revoke", s.Revoke(t.Context(), g.ID, store.ReasonCodeReplayed, time.Now()), store.ErrNotFound)
		for range 3 {
			wantError(t, name+": Create", s.Create(t.Context(), again(g), store.NoLimit), store.ErrExists)
		}
	}
}

func testGetExpired(t *testing.T, h Harness) {
	g := NewGrant()
	g.ExpiresAt = time.Now().UTC().Add(-time.Second).Truncate(time.Second)
	create(t, h.Grants, g)
	got := get(t, h.Grants, g.ID)
	wantGrant(t, got, g)
	if got.Alive(time.Now()) {
		t.Error("an expired grant is alive")
	}
	wantError(t, "Create", h.Grants.Create(t.Context(), again(g), store.NoLimit), store.ErrExists)
}

func testRevokeOnce(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	at := time.Now().UTC().Truncate(time.Second)
	for i, reason := range []string{store.ReasonCodeReplayed, "Another", "YetAnother"} {
		if err := h.Grants.Revoke(t.Context(), g.ID, reason, at.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatalf("Revoke %d: %v", i, err)
		}
	}
	want := *g
	want.RevokedAt, want.RevokedReason = at, store.ReasonCodeReplayed
	got := get(t, h.Grants, g.ID)
	wantGrant(t, got, &want)
	if got.Alive(at) {
		t.Error("a revoked grant is alive")
	}
}

func testRevokeConcurrently(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	handles := []store.Grants{h.Grants, h.Replica}
	errs := make([]error, 20)
	at := time.Now().UTC().Truncate(time.Second)
	inParallel(len(errs), func(i int) {
		errs[i] = handles[i%2].Revoke(t.Context(), g.ID, fmt.Sprintf("Reason%d", i), at.Add(time.Duration(i)*time.Second))
	})
	for i, err := range errs {
		if err != nil {
			t.Errorf("Revoke %d: %v", i, err)
		}
	}
	first := awaitRevoked(t, h.Grants, g.ID)
	if first.RevokedReason != fmt.Sprintf("Reason%d", int(first.RevokedAt.Sub(at)/time.Second)) {
		t.Errorf("the time %s is of another revocation than the reason %s", first.RevokedAt, first.RevokedReason)
	}
	wantGrant(t, awaitRevoked(t, h.Replica, g.ID), first)
}

func testReplicaLearnsOfRevocation(t *testing.T, h Harness) {
	g := NewGrant()
	create(t, h.Grants, g)
	get(t, h.Replica, g.ID)
	at := time.Now().UTC().Truncate(time.Second)
	if err := h.Grants.Revoke(t.Context(), g.ID, store.ReasonCodeReplayed, at); err != nil {
		t.Fatal(err)
	}
	want := *g
	want.RevokedAt, want.RevokedReason = at, store.ReasonCodeReplayed
	wantGrant(t, awaitRevoked(t, h.Replica, g.ID), &want)
}

func testContext(t *testing.T, h Harness) {
	g, unborn := NewGrant(), NewGrant()
	create(t, h.Grants, g)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Grants.Get(ctx, g.ID)
	wantError(t, "Get", err, context.Canceled)
	wantError(t, "Create", h.Grants.Create(ctx, unborn, store.NoLimit), context.Canceled)
	wantError(t, "Revoke", h.Grants.Revoke(ctx, g.ID, store.ReasonCodeReplayed, time.Now()), context.Canceled)
	_, err = h.Grants.Rotate(ctx, g.ID, g.Generation, time.Now(), time.Now())
	wantError(t, "Rotate", err, context.Canceled)
	_, err = h.Grants.Renew(ctx, g.ID, g.Generation, time.Now(), time.Now())
	wantError(t, "Renew", err, context.Canceled)
	_, err = h.Grants.Find(ctx, store.Query{AuthorizationServer: g.AuthorizationServer, UserUID: g.UserUID})
	wantError(t, "Find", err, context.Canceled)
	wantGrant(t, get(t, h.Grants, g.ID), g)
	_, err = h.Grants.Get(t.Context(), unborn.ID)
	wantError(t, "Get of what was not created", err, store.ErrNotFound)
}

// awaitRevoked polls until the handle says that the grant is revoked.
func awaitRevoked(t *testing.T, s store.Grants, id string) *store.Grant {
	t.Helper()
	return awaitGrant(t, s, id, "the revocation", func(g *store.Grant) bool { return !g.RevokedAt.IsZero() })
}

// awaitGrant polls until the handle has heard of something about the grant.
func awaitGrant(t *testing.T, s store.Grants, id, what string, heard func(*store.Grant) bool) *store.Grant {
	t.Helper()
	var g *store.Grant
	if !poll(t, func() bool { g = get(t, s, id); return heard(g) }) {
		t.Fatalf("the handle does not know of %s after %s", what, patience)
	}
	return g
}

// poll calls condition until it holds; false when it does not for as long as patience lasts.
func poll(t *testing.T, condition func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// inParallel calls f for 0..n-1, all at once.
func inParallel(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}
