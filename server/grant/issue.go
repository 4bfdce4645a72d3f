package grant

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// basis is what tokens are issued on: who granted what. Each grant type fills one in, once everything is checked but whether
// there are keys to sign with; the rest is the same for all.
type basis struct {
	// grantID names the grant, which is stored or about to be. Empty where no user takes part.
	grantID string
	// user who granted it, when they signed in, and the sid of that sign-in. Nil, and zero, where no user takes part.
	user      *registry.User
	authTime  time.Time
	sessionID string
	// granted is what was granted and is still allowed: what a new grant holds.
	granted *registry.Ask
	// identity are the identity scopes that the tokens have, and target the one resource that the access token is for, with its
	// scopes; nil for a token for the issuer alone. They are granted, or less.
	identity []string
	target   *registry.Target
	// nonce is for the ID token; empty when there was none, and at refresh.
	nonce string
	// keepUntil is until when a new grant is kept at least, zero for no longer than what is issued under it.
	keepUntil time.Time
	// via, notAfter and workload are of a token that is got by exchange: which tokens were shown on the way to it, when it expires at the
	// latest, and on behalf of which workload it is, if it is. Nil, and zero, for any other.
	via      []token.Shown
	notAfter time.Time
	workload *token.Workload
}

// issue is what a token request is about to be given.
type issue struct {
	*basis
	req      *request
	issuedAt time.Time
	// access is the access token, signed with accessAlgorithm.
	access          token.Access
	accessAlgorithm keys.Algorithm
	// identityToken is the ID token, signed with identityAlgorithm; nil without openid.
	identityToken     *token.Identity
	identityAlgorithm keys.Algorithm
	// generation is that of the refresh token that comes with them; 0 for none.
	generation int64
}

// newIssue says what will be in the tokens.
func newIssue(req *request, b *basis) *issue {
	i := &issue{basis: b, req: req, issuedAt: req.now.UTC().Truncate(time.Second)}
	i.describeAccess()
	if i.openID() && b.user != nil {
		i.describeIdentity()
	}
	return i
}

// openID says whether an ID token is issued, and the access token is good for userinfo.
func (b *basis) openID() bool { return slices.Contains(b.identity, oauth.ScopeOpenID) }

// describeAccess: a token for a resource has that one as its audience, and the issuer too if it is good for userinfo.
func (i *issue) describeAccess() {
	iss, lifetime := i.req.iss, i.req.iss.Lifetimes.AccessToken
	i.accessAlgorithm = iss.AccessTokenAlgorithm
	scopes, audience := slices.Clone(i.identity), []string(nil)
	if i.target != nil {
		lifetime = cmp.Or(i.target.Resource.Lifetime, lifetime)
		i.accessAlgorithm = cmp.Or(i.target.Resource.Algorithm, i.accessAlgorithm)
		audience = append(audience, i.target.Resource.Identifier)
		for _, s := range i.target.Scopes {
			scopes = append(scopes, s.Name)
		}
	}
	if i.target == nil || i.openID() {
		audience = append(audience, iss.URL)
	}
	i.access = token.Access{
		Issuer:    iss.URL,
		ClientID:  i.req.client.ID,
		Audience:  audience,
		Scopes:    scopes,
		ID:        token.NewID(),
		GrantID:   i.grantID,
		ClientUID: i.req.client.UID,
		Via:       i.via,
		IssuedAt:  i.issuedAt,
		ExpiresAt: i.issuedAt.Add(lifetime),
		AuthTime:  i.authTime,
	}
	if !i.notAfter.IsZero() {
		i.access.ExpiresAt = earliest(i.access.ExpiresAt, i.notAfter)
	}
	i.access.Subject = i.access.Origin().ID
	if i.workload != nil {
		i.access.Subject = i.workload.Subject()
		i.access.WorkloadUID, i.access.WorkloadCalled = i.workload.UID, i.workload.Called
	}
	if i.user != nil {
		i.access.Subject = iss.Subject(i.req.client, i.user)
		if i.req.client.Sector == "" { // else clients of several sectors would know by it that it is the same user
			i.access.UserUID = i.user.UID
		}
	}
	if i.target != nil && i.target.Resource.Kubernetes {
		i.describeToKubernetes()
	}
}

// describeToKubernetes says in a token for kube-apiserver what that has to know to take it without asking. A token that can't say it is
// issued without: whoever asks about it is told all the same.
func (i *issue) describeToKubernetes() {
	origin, ok := i.req.iss.Client(i.access.Origin().ID)
	if !ok || origin.UID != i.access.Origin().UID {
		origin = nil
	}
	user, err := token.NewKubernetesUser(i.user, i.workload, origin, i.access.Actors())
	if err == nil {
		err = user.Fits()
	}
	if err != nil {
		i.req.audit = append(i.req.audit, slog.String("without_kubernetes_claim", err.Error()))
		return
	}
	i.access.Kubernetes = user
}

func (i *issue) describeIdentity() {
	i.identityAlgorithm = cmp.Or(i.req.client.IDTokenAlgorithm, i.req.iss.IDTokenAlgorithm)
	i.identityToken = &token.Identity{
		Issuer:    i.req.iss.URL,
		Subject:   i.access.Subject,
		ClientID:  i.req.client.ID,
		Nonce:     i.nonce,
		SessionID: i.req.iss.SessionID(i.req.client, i.sessionID),
		IssuedAt:  i.issuedAt,
		ExpiresAt: i.issuedAt.Add(i.req.iss.Lifetimes.IDToken),
		AuthTime:  i.authTime,
		ACR:       token.ACRPassword,
		AMR:       []string{token.AMRPassword},
		User:      token.ClaimsOf(i.user, i.scopesInIDToken(), i.granted.IDTokenClaims),
	}
}

// scopesInIDToken are the scopes that bring claims into the ID token: none for a client that wants there only what it asks for by
// name, as OpenID Connect Core section 5.4 has it where an access token is issued.
func (i *issue) scopesInIDToken() []string {
	if i.req.client.IDTokenClaimsRequested {
		return nil
	}
	return i.identity
}

// expiry is when nothing that is issued now is valid any more, refresh tokens aside.
func (i *issue) expiry() time.Time {
	if i.identityToken != nil {
		return latest(i.access.ExpiresAt, i.identityToken.ExpiresAt)
	}
	return i.access.ExpiresAt
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

func earliest(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

// check says whether the tokens can be minted: before anything is stored, for afterwards it is too late to say no. A key can't be lost
// between this and mint: a request sees one Set at one time.
func (i *issue) check() error {
	if err := i.access.Fits(); err != nil {
		return oauth.Errorf(oauth.InvalidScope, "the access token would be too long to be used: ask for fewer scopes").Wrap(err)
	}
	algorithms := []keys.Algorithm{i.accessAlgorithm}
	if i.identityToken != nil {
		algorithms = append(algorithms, i.identityAlgorithm)
	}
	for _, alg := range algorithms {
		if _, err := i.req.iss.Keys.Signer(alg, i.req.now); err != nil {
			return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no key to sign with; try again").Wrap(err)
		}
	}
	return nil
}

// issueNew ends a grant type that makes a new grant: it sees that there are keys and room, stores the grant under its id, which works once,
// and mints. store.ErrExists is returned as it is: what it means is the grant type's business.
func (h *Handler) issueNew(ctx context.Context, req *request, b *basis) (*response, error) {
	i := newIssue(req, b)
	if err := i.check(); err != nil {
		return nil, err
	}
	g := i.newGrant()
	if err := h.create(ctx, i, g); err != nil {
		return nil, err
	}
	i.generation = g.Generation
	return i.mint()
}

// newGrant is what will be stored. It has a refresh token if the client may use one and the user has granted access that lasts
// (OpenID Connect Core section 11).
func (i *issue) newGrant() *store.Grant {
	g := &store.Grant{
		ID:                  i.grantID,
		AuthorizationServer: i.req.iss.Name,
		ClientID:            i.req.client.ID,
		ClientUID:           i.req.client.UID,
		User:                i.user.Name,
		UserUID:             i.user.UID,
		SessionID:           i.sessionID,
		AuthTime:            i.authTime.Truncate(time.Second),
		IssuedAt:            i.req.now.UTC().Truncate(time.Millisecond),
		Scopes:              i.granted.Identity,
		Targets:             token.Targets(i.granted),
		UserinfoClaims:      i.granted.UserinfoClaims,
		IDTokenClaims:       i.granted.IDTokenClaims,
		ExpiresAt:           latest(i.expiry(), i.keepUntil),
		Attempt:             token.NewID(),
	}
	if slices.Contains(i.req.client.GrantTypes, oauth.GrantRefreshToken) && i.granted.Offline() {
		g.Generation, g.RotatedAt = 1, i.issuedAt
		g.RefreshUntil = i.issuedAt.Add(i.req.iss.Lifetimes.RefreshToken)
		g.ExpiresAt = latest(g.ExpiresAt, i.refreshableUntil(g.RefreshUntil))
	}
	return g
}

// refreshableUntil is when a refresh token that is made now can't be used any more.
func (i *issue) refreshableUntil(until time.Time) time.Time {
	return earliest(until, i.issuedAt.Add(i.req.iss.Lifetimes.RefreshTokenIdle))
}

// mint signs.
func (i *issue) mint() (*response, error) {
	i.req.audit = append(i.req.audit, slog.String("scope", oauth.JoinScope(i.access.Scopes)), slog.String("jti", i.access.ID))
	set, now := i.req.iss.Keys, i.req.now
	access, err := i.access.Sign(set, i.accessAlgorithm, now)
	if err != nil {
		return nil, fmt.Errorf("grant: access token: %w", err)
	}
	answer := &response{
		accessToken: access,
		expiresIn:   int64(i.access.ExpiresAt.Sub(i.access.IssuedAt) / time.Second),
		scope:       oauth.JoinScope(i.access.Scopes),
	}
	if i.generation > 0 {
		answer.refreshToken = token.Refresh(i.req.iss, i.grantID, i.generation)
	}
	if i.identityToken == nil {
		return answer, nil
	}
	i.identityToken.AccessToken = access
	if answer.idToken, err = i.identityToken.Sign(set, i.identityAlgorithm, now); err != nil {
		return nil, fmt.Errorf("grant: ID token: %w", err)
	}
	return answer, nil
}
