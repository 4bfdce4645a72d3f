package grant

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// countingStore counts the writes.
type countingStore struct {
	store.Grants
	rotations, renewals, others atomic.Int64
}

func (s *countingStore) Rotate(ctx context.Context, id string, from int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	s.rotations.Add(1)
	return s.Grants.Rotate(ctx, id, from, rotatedAt, expiresAt)
}

func (s *countingStore) Renew(ctx context.Context, id string, generation int64, rotatedAt, expiresAt time.Time) (*store.Grant, error) {
	s.renewals.Add(1)
	return s.Grants.Renew(ctx, id, generation, rotatedAt, expiresAt)
}

func (s *countingStore) Revoke(ctx context.Context, id, reason string, at time.Time) error {
	s.others.Add(1)
	return s.Grants.Revoke(ctx, id, reason, at)
}

func (s *countingStore) Create(ctx context.Context, g *store.Grant, limit int) error {
	err := s.Grants.Create(ctx, g, limit)
	if !errors.Is(err, store.ErrTooMany) {
		s.others.Add(1)
	}
	return err
}

func (s *countingStore) want(t testing.TB, rotations, renewals, others int64) {
	t.Helper()
	if r, n, o := s.rotations.Swap(0), s.renewals.Swap(0), s.others.Swap(0); r != rotations || n != renewals || o != others {
		t.Errorf("%d rotations, %d renewals and %d other writes, want %d, %d and %d", r, n, o, rotations, renewals, others)
	}
}

// counted counts the writes from here on.
func (f *fixture) counted() *countingStore {
	s := &countingStore{Grants: f.grants}
	f.handler.Grants = s
	return s
}

// approved redeems a code of Alice's for the print shop.
func (f *fixture) approved(t testing.TB, change func(*token.Code)) (issued, *token.Code) {
	t.Helper()
	code := f.code()
	if change != nil {
		change(code)
	}
	got := wantIssued(t, f.redeem(form(f.seal(t, code))))
	if got.RefreshToken == "" {
		t.Fatal("no refresh token")
	}
	return got, code
}

// refreshForm is a good request of the print shop.
func refreshForm(refreshToken string, extra ...string) url.Values {
	v := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
		"client_id": {registrytest.PrintShop}, "client_secret": {registrytest.PrintShopSecret},
	}
	for i := 0; i < len(extra); i += 2 {
		v.Add(extra[i], extra[i+1])
	}
	return v
}

func (f *fixture) refresh(refreshToken string, extra ...string) *httptest.ResponseRecorder {
	return f.redeem(refreshForm(refreshToken, extra...))
}

func (f *fixture) stored(t testing.TB, id string) *store.Grant {
	t.Helper()
	g, err := f.grants.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
