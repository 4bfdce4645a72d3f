package logout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
)

// parallelRevocations is how many grants of a session are written at a time.
const parallelRevocations = 8

// ended is what came of the end of a session.
type ended struct{ revoked, told int }

// end takes back what was granted for the duration of the session, and records that the session is over, so that a copy of the cookie is
// worth nothing; or that everything is over which the user has at the issuer. Then it tells the clients that took part in it, also when
// not all of it could be written: for what was taken back is not found again by who tries again. The record comes last, for without a
// session nobody can try again.
func (h *Handler) end(ctx context.Context, iss *registry.Issuer, s *session.Session, now time.Time, everywhere bool) (ended, error) {
	of := store.Query{AuthorizationServer: iss.Name, UserUID: s.User.UID, SessionID: s.ID}
	if everywhere {
		of.SessionID = ""
	}
	grants, err := h.Grants.Find(ctx, of)
	if err != nil {
		return ended{}, fmt.Errorf("logout: find the grants: %w", err)
	}
	grants = slices.DeleteFunc(slices.Clone(grants), func(g *store.Grant) bool { return !g.Alive(now) })
	var came ended
	if !everywhere { // else all of them are over by the record
		came.revoked, err = h.revoke(ctx, iss, grants, now)
	}
	if err == nil {
		err = h.SignOuts.Record(ctx, signOut(iss, s, grants, now, everywhere))
	}
	came.told = h.tell(ctx, iss, s.User, of.SessionID, grants)
	return came, err
}

// ahead is by how much the clocks of other replicas may be ahead. More than that is believed of none: the user could not sign in again
// until then.
const ahead = 5 * time.Second

// signOut is what is recorded. That everything is over is remembered for as long as anything from before could be of use.
func signOut(iss *registry.Issuer, s *session.Session, grants []*store.Grant, now time.Time, everywhere bool) *store.SignOut {
	o := &store.SignOut{AuthorizationServer: iss.Name, User: s.User.Name, UserUID: s.User.UID, SessionID: s.ID, At: now, ExpiresAt: s.ExpiresAt}
	if everywhere {
		for _, g := range grants { // whatever there is is from before, also if the clock of the replica that made it says otherwise
			if g.IssuedAt.After(o.At) && !g.IssuedAt.After(now.Add(ahead)) {
				o.At = g.IssuedAt
			}
		}
		l := iss.Lifetimes
		o.SessionID, o.ExpiresAt = "", now.Add(max(l.Session, l.RefreshToken, l.AccessToken, l.IDToken)+l.AuthorizationCode)
	}
	o.At = o.At.UTC().Truncate(time.Millisecond)
	o.ExpiresAt = o.ExpiresAt.UTC().Truncate(time.Second).Add(time.Second)
	return o
}

// offline says whether the grant is for when the user is not there (OpenID Connect Core section 11): a refresh token is.
func offline(g *store.Grant) bool {
	return g.Generation > 0 || slices.Contains(g.Scopes, oauth.ScopeOfflineAccess)
}

func (h *Handler) revoke(ctx context.Context, iss *registry.Issuer, grants []*store.Grant, now time.Time) (int, error) {
	var (
		mu       sync.Mutex
		revoked  int
		failures []error
		group    errgroup.Group
	)
	group.SetLimit(parallelRevocations)
	for _, g := range grants {
		if offline(g) {
			continue
		}
		group.Go(func() error {
			err := h.Grants.Revoke(ctx, g.ID, store.ReasonSignedOut, now)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				failures = append(failures, fmt.Errorf("logout: revoke grant %s: %w", g.ID, err))
				return nil // the others are tried all the same
			}
			revoked++
			h.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", slog.String("event", "grant_revoked"), slog.String("issuer", iss.URL),
				slog.String("grant", g.ID), slog.String("client_id", g.ClientID), slog.String("user", g.User), slog.String("reason", store.ReasonSignedOut))
			return nil
		})
	}
	_ = group.Wait() // failures are gathered above
	return revoked, errors.Join(failures...)
}

// tell has each client notified once that wants to be and that has one of the grants, whether it goes on living or not. No session means
// all of them.
func (h *Handler) tell(ctx context.Context, iss *registry.Issuer, user *registry.User, sessionID string, grants []*store.Grant) int {
	told := map[string]bool{}
	for _, g := range grants {
		client, ok := iss.Client(g.ClientID)
		if !ok || client.UID != g.ClientUID || client.BackChannelLogoutURI == "" || told[client.ID] {
			continue
		}
		told[client.ID] = true
		h.Notifier.Notify(ctx, Notice{Issuer: iss, Client: client, User: user, SessionID: sessionID})
	}
	return len(told)
}
