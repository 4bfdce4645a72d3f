package grant

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// Security: code replay: three times in sequence.
func TestCodeReplayInSequence(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	req := form(f.seal(t, code))
	got := wantIssued(t, f.redeem(req))
	if _, err := f.active(got.AccessToken, registrytest.Photos); err != nil {
		t.Fatalf("before the replay: %v", err)
	}
	for range 2 {
		wantRefused(t, f.redeem(req), oauth.InvalidGrant)
	}
	if _, err := f.active(got.AccessToken, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
		t.Errorf("what the code produced lives on: %v", err)
	}
	g, err := f.grants.Get(t.Context(), code.ID)
	if err != nil || g.RevokedReason != store.ReasonCodeReplayed || !g.RevokedAt.Equal(f.now) {
		t.Errorf("grant %+v, %v", g, err)
	}
	if log := f.log.String(); !strings.Contains(log, `"event":"grant_revoked"`) || !strings.Contains(log, `"event":"token_refused"`) {
		t.Errorf("audit %s", log)
	}
}

// Security: code replay: 100 at once.
func TestCodeReplayAtOnce(t *testing.T) {
	f := newFixture(t)
	req := form(f.seal(t, f.code()))
	answers := make([]*httptest.ResponseRecorder, 100)
	var done sync.WaitGroup
	start := make(chan struct{})
	for i := range answers {
		done.Go(func() {
			<-start
			answers[i] = f.redeem(req)
		})
	}
	close(start)
	done.Wait()
	var won []issued
	for _, w := range answers {
		if w.Code == http.StatusOK {
			won = append(won, wantIssued(t, w))
			continue
		}
		wantRefused(t, w, oauth.InvalidGrant)
	}
	if len(won) != 1 {
		t.Fatalf("%d succeeded, want exactly 1", len(won))
	}
	if _, err := f.active(won[0].AccessToken, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
		t.Errorf("what the code produced lives on: %v", err)
	}
}

// Security: code replay after the grant was deleted: exactly one success.
func TestCodeReplayAfterDeletion(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	req := form(f.seal(t, code))
	got := wantIssued(t, f.redeem(req))
	if err := f.grants.Delete(t.Context(), code.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		wantRefused(t, f.redeem(req), oauth.InvalidGrant)
	}
	if _, err := f.active(got.AccessToken, registrytest.Photos); !errors.Is(err, token.ErrInactive) {
		t.Errorf("what the code produced lives on: %v", err)
	}
}

// Security: somebody who holds a spent code but not what belongs to it: plain invalid_grant, and the grant lives on.
func TestReplayWithoutProofRevokesNothing(t *testing.T) {
	f := newFixture(t)
	sealed := f.seal(t, f.code())
	got := wantIssued(t, f.redeem(form(sealed)))
	wrongVerifier := form(sealed)
	wrongVerifier.Set("code_verifier", strings.Repeat("v", 43))
	otherClient := form(sealed)
	otherClient.Set("client_id", registrytest.Native)
	otherClient.Del("client_secret")
	wantRefused(t, f.redeem(wrongVerifier), oauth.InvalidGrant)
	wantRefused(t, f.redeem(otherClient), oauth.InvalidGrant)
	if _, err := f.active(got.AccessToken, registrytest.Photos); err != nil {
		t.Errorf("the grant is dead: %v", err)
	}
}

// failingStore answers what a test says.
type failingStore struct {
	store.Grants
	create func(ctx context.Context) error
	revoke func(ctx context.Context) error
}

func (failingStore) Find(context.Context, store.Query) ([]*store.Grant, error) { return nil, errStore }

func (s failingStore) Create(ctx context.Context, _ *store.Grant, _ int) error {
	return s.create(ctx)
}

func (s failingStore) Revoke(ctx context.Context, _, _ string, _ time.Time) error {
	return s.revoke(ctx)
}

var errStore = errors.New("etcd: leader changed")

// TestStoreFails: when it is not known whether the code is spent, nothing is issued and the client may try again.
func TestStoreFails(t *testing.T) {
	fail := func(context.Context) error { return errStore }
	exists := func(context.Context) error { return store.ErrExists }
	for name, s := range map[string]failingStore{
		"at Create":                     {create: fail},
		"at the revocation of a replay": {create: exists, revoke: fail},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.handler.Grants = s
			w := f.redeem(form(f.seal(t, f.code())))
			wantRefused(t, w, oauth.TemporarilyUnavailable)
			if strings.Contains(w.Body.String(), "etcd") {
				t.Errorf("the answer tells of the store: %s", w.Body)
			}
			if !strings.Contains(f.log.String(), errStore.Error()) {
				t.Errorf("the log does not tell of the store: %s", f.log.String())
			}
		})
	}
}

// TestReplayerHangsUp: a replay is punished even if nobody waits for the answer.
func TestReplayerHangsUp(t *testing.T) {
	f := newFixture(t)
	ctx, hangUp := context.WithCancel(t.Context())
	revoked := false
	f.handler.Grants = failingStore{
		create: func(context.Context) error { hangUp(); return store.ErrExists },
		revoke: func(ctx context.Context) error { revoked = ctx.Err() == nil; return ctx.Err() },
	}
	wantRefused(t, f.serve(tokenRequest(form(f.seal(t, f.code()))).WithContext(ctx)), oauth.InvalidGrant)
	if !revoked {
		t.Error("the revocation ended with the request")
	}
}

// Security: secrets in logs: never.
func TestNoSecretsInLog(t *testing.T) {
	f := newFixture(t)
	code := f.code()
	code.Scopes = append(code.Scopes, oauth.ScopeOpenID)
	req := form(f.seal(t, code))
	got := wantIssued(t, f.redeem(req))
	wantRefused(t, f.redeem(req), oauth.InvalidGrant)
	req.Set("client_secret", "a-wrong-secret")
	wantRefused(t, f.redeem(req), oauth.InvalidClient)
	log := f.log.String()
	for name, secret := range map[string]string{
		"code": req.Get("code"), "verifier": verifier, "client secret": registrytest.PrintShopSecret, "wrong client secret": "a-wrong-secret",
		"access token": got.AccessToken, "ID token": got.IDToken,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds the %s", name)
		}
	}
}
