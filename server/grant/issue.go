package grant

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// issue is what a token request is about to be given.
type issue struct {
	req  *request
	code *token.Code
	ask  *registry.Ask
	// access is the access token, signed with accessAlgorithm.
	access          token.Access
	accessAlgorithm keys.Algorithm
	// identity is the ID token, signed with identityAlgorithm; nil without openid.
	identity          *token.Identity
	identityAlgorithm keys.Algorithm
}

// newIssue says what will be in the tokens. target is nil where identity scopes alone were granted.
func newIssue(req *request, code *token.Code, u *registry.User, ask *registry.Ask, target *registry.Target) *issue {
	i := &issue{req: req, code: code, ask: ask}
	issuedAt := req.now.UTC().Truncate(time.Second)
	i.describeAccess(u, target, issuedAt)
	if ask.OpenID() {
		i.describeIdentity(u, issuedAt)
	}
	return i
}

// describeAccess: a token for a resource has that one as its audience, and the issuer too if it is good for userinfo.
func (i *issue) describeAccess(u *registry.User, target *registry.Target, issuedAt time.Time) {
	iss, lifetime := i.req.iss, i.req.iss.Lifetimes.AccessToken
	i.accessAlgorithm = iss.AccessTokenAlgorithm
	scopes, audience := slices.Clone(i.ask.Identity), []string(nil)
	if target != nil {
		lifetime = cmp.Or(target.Resource.Lifetime, lifetime)
		i.accessAlgorithm = cmp.Or(target.Resource.Algorithm, i.accessAlgorithm)
		audience = append(audience, target.Resource.Identifier)
		for _, s := range target.Scopes {
			scopes = append(scopes, s.Name)
		}
	}
	if target == nil || i.ask.OpenID() {
		audience = append(audience, iss.URL)
	}
	i.access = token.Access{
		Issuer:    iss.URL,
		Subject:   u.Subject,
		ClientID:  i.req.client.ID,
		Audience:  audience,
		Scopes:    scopes,
		ID:        token.NewID(),
		GrantID:   i.code.ID,
		ClientUID: i.req.client.UID,
		UserUID:   u.UID,
		IssuedAt:  issuedAt,
		ExpiresAt: issuedAt.Add(lifetime),
		AuthTime:  i.code.AuthTime,
	}
}

func (i *issue) describeIdentity(u *registry.User, issuedAt time.Time) {
	i.identityAlgorithm = cmp.Or(i.req.client.IDTokenAlgorithm, i.req.iss.IDTokenAlgorithm)
	i.identity = &token.Identity{
		Issuer:    i.req.iss.URL,
		Subject:   u.Subject,
		ClientID:  i.req.client.ID,
		Nonce:     i.code.Nonce,
		SessionID: i.code.SessionID,
		IssuedAt:  issuedAt,
		ExpiresAt: issuedAt.Add(i.req.iss.Lifetimes.IDToken),
		AuthTime:  i.code.AuthTime,
		ACR:       token.ACRPassword,
		AMR:       []string{token.AMRPassword},
		User:      token.ClaimsOf(u, i.ask.Identity, i.ask.IDTokenClaims),
	}
}

// checkSigners says whether there are keys for all that is to be signed. They can't be lost between this and mint: a
// request sees one Set at one time.
func (i *issue) checkSigners() error {
	algorithms := []keys.Algorithm{i.accessAlgorithm}
	if i.identity != nil {
		algorithms = append(algorithms, i.identityAlgorithm)
	}
	for _, alg := range algorithms {
		if _, err := i.req.iss.Keys.Signer(alg, i.req.now); err != nil {
			return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no key to sign with; try again").Wrap(err)
		}
	}
	return nil
}

// grant is what will be stored.
func (i *issue) grant() *store.Grant {
	g := &store.Grant{
		ID:                  i.code.ID,
		AuthorizationServer: i.req.iss.Name,
		ClientID:            i.req.client.ID,
		ClientUID:           i.req.client.UID,
		User:                i.code.User,
		UserUID:             i.code.UserUID,
		SessionID:           i.code.SessionID,
		AuthTime:            i.code.AuthTime,
		Scopes:              i.ask.Identity,
		Targets:             token.Targets(i.ask),
		UserinfoClaims:      i.ask.UserinfoClaims,
		IDTokenClaims:       i.ask.IDTokenClaims,
		ExpiresAt:           i.access.ExpiresAt,
		Attempt:             token.NewID(),
	}
	if i.identity != nil && i.identity.ExpiresAt.After(g.ExpiresAt) {
		g.ExpiresAt = i.identity.ExpiresAt
	}
	return g
}

// mint signs.
func (i *issue) mint() (*response, error) {
	set, now := i.req.iss.Keys, i.req.now
	access, err := i.access.Sign(set, i.accessAlgorithm, now)
	if err != nil {
		return nil, fmt.Errorf("grant: access token: %w", err)
	}
	answer := &response{
		AccessToken: access,
		TokenType:   oauth.TokenTypeBearer,
		ExpiresIn:   int64(i.access.ExpiresAt.Sub(i.access.IssuedAt) / time.Second),
		Scope:       oauth.JoinScope(i.access.Scopes),
	}
	if i.identity == nil {
		return answer, nil
	}
	i.identity.AccessToken = access
	if answer.IDToken, err = i.identity.Sign(set, i.identityAlgorithm, now); err != nil {
		return nil, fmt.Errorf("grant: ID token: %w", err)
	}
	return answer, nil
}
