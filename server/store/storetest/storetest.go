// Package storetest is the conformance suite of store.Grants: what the interface's comments promise, as tests that every
// implementation runs against its real backend.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// patience bounds how long the suite waits for what one replica wrote to be told to another.
const patience = 10 * time.Second

// Harness is a backend under test.
type Harness struct {
	// Grants is the implementation; Replica is a second handle on the same backend, as another replica of the server has
	// one, or Grants itself where a backend has only one process.
	Grants, Replica store.Grants
	// Delete removes a grant behind the store's back, as an administrator does, and returns once both handles know of it.
	Delete func(ctx context.Context, id string) error
}

// Run runs the suite. open is called once a test; what it opens is cleaned up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"Create and Get keep every value", testRoundTrip},
		{"Create keeps no reference to its argument", testNoAliasing},
		{"a replica gets a grant that was just created", testReplicaGets},
		{"Get and Revoke of an unknown id", testUnknown},
		{"Create of an id that exists", testExists},
		{"Create of one id, 100 at once", testCreateOnce},
		{"Create of an id that was revoked", testExistsAfterRevoke},
		{"Create of an id that was deleted", testExistsAfterDelete},
		{"Get of an expired grant", testGetExpired},
		{"Revoke keeps the first time and reason", testRevokeOnce},
		{"Revoke of one id, 20 at once", testRevokeConcurrently},
		{"a replica learns of a revocation", testReplicaLearnsOfRevocation},
		{"Rotate sets the generation and its times", testRotate},
		{"Rotate of one generation, 100 at once", testRotateAtOnce},
		{"Rotate at a replica that is behind", testRotateAtAStaleReplica},
		{"Rotate of another generation", testRotateConflicts},
		{"Rotate and Renew of a revoked grant", testRotateRevoked},
		{"Rotate and Renew of a grant that is gone", testRotateGone},
		{"Rotate of a grant without refresh token", testRotateWithoutRefreshToken},
		{"Revoke of a grant that another replica rotated", testRevokeRotated},
		{"Renew keeps the generation and puts no time back", testRenew},
		{"a replica learns of a rotation", testReplicaLearnsOfRotation},
		{"Find by user, client and session", testFind},
		{"Find leaves out what is revoked or deleted", testFindLeavesOut},
		{"Limit", testLimit},
		{"Known follows what becomes of a grant", testKnown},
		{"Find needs a user or a session", testFindNeedsAQuery},
		{"every method honours its context", testContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// NewGrant makes a grant with a random id, every member set but those of a revocation, that lives for ten minutes.
func NewGrant() *store.Grant {
	now := time.Now().UTC().Truncate(time.Second)
	return &store.Grant{
		ID:                  newID(),
		AuthorizationServer: "default",
		ClientID:            "shop.storefront",
		ClientUID:           "4d2f4fcd-7f4f-4b9e-9c1d-0c9a3c1b7f10",
		User:                "alice",
		UserUID:             "0b6f3a52-2a35-4dc2-8d64-9a4b3f7f2b51",
		SessionID:           newID(),
		AuthTime:            now.Add(-3 * time.Minute),
		IssuedAt:            now.Add(-123 * time.Millisecond),
		Scopes:              []string{"openid", "offline_access"},
		Targets: []store.Target{
			{Resource: "https://orders.shop.svc", Scopes: []string{"orders.read", "orders.write"}},
			{Resource: "https://stock.shop.svc:8443/v1"},
		},
		UserinfoClaims: []string{"email"},
		IDTokenClaims:  []string{"name"},
		RefreshUntil:   now.Add(time.Hour),
		Generation:     1,
		RotatedAt:      now,
		ExpiresAt:      now.Add(10 * time.Minute),
		Attempt:        newID(),
	}
}

func newID() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// again is another attempt to redeem the code of g.
func again(g *store.Grant) *store.Grant {
	c := *g
	c.Attempt = newID()
	return &c
}

func create(t *testing.T, s store.Grants, g *store.Grant) {
	t.Helper()
	if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
		t.Fatalf("Create: %v", err)
	}
}

func get(t *testing.T, s store.Grants, id string) *store.Grant {
	t.Helper()
	g, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return g
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// maxLag is how much later than in the grant a store may say that it was created: its own clock decides.
const maxLag = 10 * time.Second

func sameTarget(a, b store.Target) bool {
	return a.Resource == b.Resource && slices.Equal(a.Scopes, b.Scopes)
}

// wantGrant compares all members, times to the second.
func wantGrant(t *testing.T, got, want *store.Grant) {
	t.Helper()
	type flat struct {
		id, as, clientID, clientUID, user, userUID, session, attempt, reason string
		authTime, issuedAt, expiresAt, revokedAt, refreshUntil, generation   int64
	}
	flatten := func(g *store.Grant) flat {
		return flat{g.ID, g.AuthorizationServer, g.ClientID, g.ClientUID, g.User, g.UserUID, g.SessionID, g.Attempt, g.RevokedReason,
			g.AuthTime.Unix(), g.IssuedAt.UnixMilli(), g.ExpiresAt.Unix(), g.RevokedAt.Unix(), g.RefreshUntil.Unix(), g.Generation}
	}
	if flatten(got) != flatten(want) || got.RevokedAt.IsZero() != want.RevokedAt.IsZero() ||
		!slices.Equal(got.Scopes, want.Scopes) || !slices.EqualFunc(got.Targets, want.Targets, sameTarget) ||
		!slices.Equal(got.UserinfoClaims, want.UserinfoClaims) || !slices.Equal(got.IDTokenClaims, want.IDTokenClaims) ||
		got.RotatedAt.Sub(want.RotatedAt).Abs() > maxLag {
		t.Errorf("got grant %+v\nwant %+v", got, want)
	}
}
