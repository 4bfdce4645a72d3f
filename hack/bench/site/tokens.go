package site

import (
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/token"
)

// AccessToken mints an access token, signed with ES256, as the issuer would for the i-th grant: of the one user, to the i-th client, for the
// API of its namespace. Each one is another.
func (s *Site) AccessToken(i int) (string, error) {
	if i >= len(s.grants) {
		return "", fmt.Errorf("there are %d grants, and none %d", len(s.grants), i)
	}
	now := time.Now().Truncate(time.Second)
	access := token.Access{
		Issuer: s.Issuer(), Subject: s.source.keys.Subject(compile.LocalProvider, UserName), ClientID: ClientID(i), Audience: []string{Identifier(i)},
		Scopes: []string{ScopeName}, ID: token.NewID(), GrantID: s.grants[i], ClientUID: uidOf(i), UserUID: s.source.alice.UID,
		IssuedAt: now, ExpiresAt: now.Add(tokenLifetime), AuthTime: now,
	}
	return access.Sign(s.source.keys, keys.ES256, now)
}

// SourceObject is what etcd has of the client that is copied.
func (s *Site) SourceObject() []byte { return s.source.client }

// Keys are the issuer's.
func (s *Site) Keys() *keys.Set { return s.source.keys }
