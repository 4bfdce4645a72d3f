package oauthgrant

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

const (
	// redeemable is how long after its grant was made the code that the grant came from might be presented, were it not spent: an approved
	// device code is good for two minutes, an authorization code for one at most.
	redeemable = 2 * time.Minute
	// skew is how far the clocks of servers and of this controller may be apart.
	skew = 5 * time.Minute
	// longestAccessToken is the longest lifetime that an issuer may give access tokens. It counts where the issuer is not there to say.
	longestAccessToken = 24 * time.Hour
)

// accessTokens are the lifetimes of access tokens, by AuthorizationServer.
type accessTokens map[string]time.Duration

// accessTokens reads what the issuers say now.
func (s *Sweeper) accessTokens(ctx context.Context) (accessTokens, error) {
	var list v1alpha1.AuthorizationServerList
	if err := s.Client.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list AuthorizationServers: %w", err)
	}
	out := accessTokens{}
	for i := range list.Items {
		out[list.Items[i].Name] = compile.AccessTokenLifetime(&list.Items[i])
	}
	return out, nil
}

// end is when a grant is of no use. One that was revoked is kept only until neither its code nor a token of its could be presented in
// good faith: a replay finds it, and who asks about such a token is answered from memory. From then on the absence of the grant says
// the same, at every replica: its tokens are refused, its refresh tokens too, and its code has expired.
func (a accessTokens) end(g *v1alpha1.OAuthGrant) metav1.Time {
	expiry := g.Expiry()
	if g.Status.RevokedAt == nil {
		return expiry
	}
	lifetime, ok := a[g.Spec.AuthorizationServerName]
	if !ok {
		lifetime = longestAccessToken
	}
	last := g.Status.RevokedAt.Time
	if g.Spec.IssuedAt.After(last) {
		last = g.Spec.IssuedAt.Time
	}
	if dead := metav1.NewTime(last.Add(max(redeemable, lifetime) + skew)); dead.Before(&expiry) {
		return dead
	}
	return expiry
}
