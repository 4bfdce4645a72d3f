package valkey

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-io/latchkey/server/store"
)

// The kinds of keys. What is in braces decides the slot of a Cluster; no command touches two keys.
const (
	grantKind   = "grant:"
	deviceKind  = "device:"
	userKind    = "user:"
	sessionKind = "session:"
	clientKind  = "client:"
	askedKind   = "asked:" // what devices asked for, by client
)

func (s *Store) key(kind, name string) string { return s.config.Prefix + kind + "{" + name + "}" }

func (s *Store) grantKey(id string) string { return s.key(grantKind, id) }

// format is that of the values. A reader that finds another doesn't guess.
const format = 1

// record is the value of a grant's key. Times are in Unix seconds, IssuedAt in milliseconds; 0 for none.
type record struct {
	Format              int            `json:"v"`
	AuthorizationServer string         `json:"as,omitempty"`
	ClientID            string         `json:"c,omitempty"`
	ClientUID           string         `json:"cu,omitempty"`
	User                string         `json:"u,omitempty"`
	UserUID             string         `json:"uu,omitempty"`
	SessionID           string         `json:"sid,omitempty"`
	AuthTime            int64          `json:"at,omitzero"`
	IssuedAt            int64          `json:"iat,omitzero"`
	Scopes              []string       `json:"s,omitempty"`
	Targets             []store.Target `json:"r,omitempty"`
	UserinfoClaims      []string       `json:"uc,omitempty"`
	IDTokenClaims       []string       `json:"ic,omitempty"`
	ExpiresAt           int64          `json:"exp,omitzero"`
	RefreshUntil        int64          `json:"ru,omitzero"`
	Generation          int64          `json:"g,omitzero"`
	RotatedAt           int64          `json:"ra,omitzero"`
	Attempt             string         `json:"n,omitempty"`
	RevokedAt           int64          `json:"rv,omitzero"`
	RevokedReason       string         `json:"rr,omitempty"`
	// IndexedUntil is how long the indexes name the grant.
	IndexedUntil int64 `json:"ix,omitzero"`
	// Gone: the grant was deleted, and its id is remembered.
	Gone bool `json:"gone,omitzero"`
}

// entry is a grant as its key says. It never changes.
type entry struct {
	// grant is nil for one that was deleted.
	grant        *store.Grant
	raw          string
	indexedUntil time.Time
}

func encode(g *store.Grant, indexedUntil time.Time) (string, error) {
	b, err := json.Marshal(record{
		Format: format, AuthorizationServer: g.AuthorizationServer, ClientID: g.ClientID, ClientUID: g.ClientUID,
		User: g.User, UserUID: g.UserUID, SessionID: g.SessionID, AuthTime: seconds(g.AuthTime), IssuedAt: milliseconds(g.IssuedAt),
		Scopes: g.Scopes, Targets: g.Targets, UserinfoClaims: g.UserinfoClaims, IDTokenClaims: g.IDTokenClaims,
		ExpiresAt: seconds(g.ExpiresAt), RefreshUntil: seconds(g.RefreshUntil), Generation: g.Generation, RotatedAt: seconds(g.RotatedAt),
		Attempt: g.Attempt, RevokedAt: seconds(g.RevokedAt), RevokedReason: g.RevokedReason, IndexedUntil: seconds(indexedUntil),
	})
	return string(b), err
}

func decode(id, raw string) (*entry, error) {
	var r record
	if err := json.Unmarshal([]byte(raw), &r); err != nil {
		return nil, fmt.Errorf("store/valkey: what is stored of a grant can't be read: %w", err)
	}
	if r.Format != format {
		return nil, fmt.Errorf("store/valkey: a grant is stored in format %d, and this version reads %d", r.Format, format)
	}
	if r.Gone {
		return &entry{raw: raw}, nil
	}
	return &entry{raw: raw, indexedUntil: at(r.IndexedUntil), grant: &store.Grant{
		ID: id, AuthorizationServer: r.AuthorizationServer, ClientID: r.ClientID, ClientUID: r.ClientUID,
		User: r.User, UserUID: r.UserUID, SessionID: r.SessionID, AuthTime: at(r.AuthTime), IssuedAt: atMillisecond(r.IssuedAt),
		Scopes: r.Scopes, Targets: r.Targets, UserinfoClaims: r.UserinfoClaims, IDTokenClaims: r.IDTokenClaims,
		ExpiresAt: at(r.ExpiresAt), RefreshUntil: at(r.RefreshUntil), Generation: r.Generation, RotatedAt: at(r.RotatedAt),
		Attempt: r.Attempt, RevokedAt: at(r.RevokedAt), RevokedReason: r.RevokedReason,
	}}, nil
}

// buried is the value of a grant that was deleted.
func buried() string { return fmt.Sprintf(`{"v":%d,"gone":true}`, format) }

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func atMillisecond(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func at(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// validID says whether the id can be that of a grant made here: 63 lower-case letters and digits at most.
func validID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return id != "" && len(id) <= 63
}

// grantLifetime is how long a grant's key is kept, in milliseconds.
func (s *Store) grantLifetime(g *store.Grant) int64 {
	until := g.ExpiresAt
	if over := g.RevokedAt.Add(revokedKept); !g.RevokedAt.IsZero() && over.Before(until) {
		until = over
	}
	return s.lifetime(until)
}

// lifetime is how long a key is kept, in milliseconds, of what is good until then: counted from now, so that the clock of the
// server doesn't matter.
func (s *Store) lifetime(until time.Time) int64 {
	return max(until.Sub(s.config.Now()), remembered).Milliseconds() + afterlife.Milliseconds()
}
