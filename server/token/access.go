package token

import (
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
)

// Access is an access token (RFC 9068). Times are whole seconds.
type Access struct {
	// Issuer is the issuer identifier (`iss`).
	Issuer string
	// Subject is the `sub` of the user, or where no user takes part, that of the workload or the client_id.
	Subject  string
	ClientID string
	// Audience is the identifier of the resource server, and the issuer's where the token is good for userinfo.
	Audience []string
	Scopes   []string
	// ID is the `jti`: unguessable, as NewID makes them.
	ID string
	// GrantID names the grant that the token lives by; ClientUID and UserUID the objects it was issued to and for.
	// GrantID and UserUID are empty where no user takes part; UserUID also where the client knows users by pairwise subjects, which
	// it would make worthless: there it is in the grant alone.
	GrantID, ClientUID, UserUID string
	// WorkloadUID is the UID of the ServiceAccount for whose own token this one was got by exchange, or one that this one was got for, and
	// WorkloadCalled the API that it called; empty for every other token. Subject is its name, and there is neither user nor grant.
	WorkloadUID, WorkloadCalled string
	// Via are the tokens of the issuer's own through which this one was got by exchange (RFC 8693), the first one first: that of the
	// client that the grant was made to, in whose own right it was, or that got it for a workload. It is empty for a token that was not
	// got for one of these. The token lives by the clients of all of them.
	Via                 []Shown
	IssuedAt, ExpiresAt time.Time
	// AuthTime is when the user signed in; zero where no user takes part.
	AuthTime time.Time
	// Kubernetes is what a token for kube-apiserver says to one that verifies it by itself; nil for every other token. It says how things
	// were when the token was issued: whoever asks Latchkey is told how they are, and this is never read again.
	Kubernetes *KubernetesUser
}

// Party is a client, as the very object that it was.
type Party struct {
	ID  string `json:"id"`
	UID string `json:"uid"`
}

// Shown is a token that was shown in an exchange: what has to be known of it for as long as something lives that was got for it.
type Shown struct {
	// Party is the client that the token was issued to.
	Party
	// IssuedAt is when, in seconds since 1970: a cut-off that ends the token ends what was got for it.
	IssuedAt int64 `json:"iat"`
	// Audience and Scope are what it was good for: what was got for it never has more scopes at the same resource.
	Audience []string `json:"aud,omitempty"`
	Scope    string   `json:"scope,omitempty"`
}

// Shown is the token as one that was shown in an exchange.
func (a *Access) Shown() Shown {
	return Shown{Party: Party{a.ClientID, a.ClientUID}, IssuedAt: a.IssuedAt.Unix(), Audience: a.Audience, Scope: oauth.JoinScope(a.Scopes)}
}

// Widens says whether to have the scope at the resource would be more than what the token had there.
func (s Shown) Widens(resource, scope string) bool {
	return slices.Contains(s.Audience, resource) && !slices.Contains(oauth.SplitScope(s.Scope), scope)
}

// Actor is who acts on behalf of the subject, and for whom the one before it did (RFC 8693 section 4.1).
type Actor struct {
	// Subject is a client_id.
	Subject string `json:"sub"`
	Actor   *Actor `json:"act,omitempty"`
}

// Origin is the client that the grant was made to, or in whose own right the token is where no user takes part: the token's own
// client unless the token was got by exchange. For a workload, it is the first that acts.
func (a *Access) Origin() Party {
	if len(a.Via) > 0 {
		return a.Via[0].Party
	}
	return Party{a.ClientID, a.ClientUID}
}

// Actors are the client_ids of those who act on behalf of the subject, the present one first. There are none unless the token was got
// by exchange.
func (a *Access) Actors() []string {
	before := a.Via
	if a.WorkloadUID == "" { // the first client does not act on behalf of somebody: it is who the others act for, or for whose user
		if len(a.Via) == 0 {
			return nil
		}
		before = a.Via[1:]
	}
	actors := []string{a.ClientID}
	for _, p := range slices.Backward(before) {
		actors = append(actors, p.ID)
	}
	return actors
}

// Actor is Actors as the claim `act`, nil for none.
func (a *Access) Actor() *Actor {
	var actor *Actor
	for _, id := range slices.Backward(a.Actors()) {
		actor = &Actor{Subject: id, Actor: actor}
	}
	return actor
}

// accessClaims is Access as it is read: RFC 9068 section 2.2, and what is Latchkey's own under one name, as Kubernetes does
// it in ServiceAccount tokens.
type accessClaims struct {
	Issuer    string        `json:"iss,omitempty"`
	Subject   string        `json:"sub,omitempty"`
	Audience  audience      `json:"aud,omitempty"`
	ExpiresAt date          `json:"exp,omitzero"`
	NotBefore date          `json:"nbf,omitzero"`
	IssuedAt  date          `json:"iat,omitzero"`
	ID        string        `json:"jti,omitempty"`
	ClientID  string        `json:"client_id"`
	Scope     string        `json:"scope,omitempty"`
	AuthTime  date          `json:"auth_time,omitzero"`
	Actor     *Actor        `json:"act,omitempty"`
	Latchkey  latchkeyClaim `json:"oauth.latchkey.io"`
}

type latchkeyClaim struct {
	Grant  string  `json:"grant,omitempty"`
	Client string  `json:"client"`
	User   string  `json:"user,omitempty"`
	Via    []Shown `json:"via,omitempty"`

	ServiceAccount *accountClaim   `json:"serviceAccount,omitempty"`
	Kubernetes     *KubernetesUser `json:"kubernetes,omitempty"`
}

// Fits says whether the token will be one that is looked at: what is longer is good for nothing, wherever it is presented. The error says
// what is too much.
func (a *Access) Fits() error {
	if a.weight() < maxClaims/8 { // JSON may need six bytes for one
		return nil
	}
	claims := a.claims()
	defer claims.Free()
	text, err := claims.JSON()
	if err == nil && len(text) > maxClaims {
		err = fmt.Errorf("token: it would say %d bytes of a client, its scopes and through whom they came, more than %d", len(text), maxClaims)
	}
	return err
}

// weight is how many bytes of the token are not bounded by what they are.
func (a *Access) weight() int {
	n := 0
	for _, s := range a.Scopes {
		n += len(s)
	}
	for _, v := range a.Via {
		n += len(v.Scope) + 256
	}
	if a.Kubernetes != nil {
		n += maxKubernetesClaim
	}
	return n
}

// Sign mints the token with the issuer's key of the algorithm that is in use at the time now. keys.ErrNoSigner when there
// is none.
func (a *Access) Sign(set *keys.Set, alg keys.Algorithm, now time.Time) (string, error) {
	claims := a.claims()
	defer claims.Free()
	text, err := claims.JSON()
	if err != nil {
		return "", fmt.Errorf("token: claims: %w", err)
	}
	return sign(set, alg, now, oauth.TypAccessToken, text)
}

// claims is Access on the wire: what accessClaims reads.
func (a *Access) claims() *oauth.Object {
	o := oauth.NewObject()
	o.String("iss", a.Issuer)
	o.String("sub", a.Subject)
	o.Strings("aud", a.Audience)
	o.Number("exp", a.ExpiresAt.Unix())
	o.Number("iat", a.IssuedAt.Unix())
	o.String("jti", a.ID)
	o.String("client_id", a.ClientID)
	o.String("scope", oauth.JoinScope(a.Scopes))
	if at := dateOf(a.AuthTime); at != 0 {
		o.Number("auth_time", int64(at))
	}
	if actor := a.Actor(); actor != nil {
		o.Any("act", actor)
	}
	o.Open("oauth.latchkey.io")
	o.String("grant", a.GrantID)
	o.String("client", a.ClientUID)
	o.String("user", a.UserUID)
	if len(a.Via) > 0 {
		o.Any("via", a.Via)
	}
	if a.WorkloadUID != "" {
		o.Any("serviceAccount", accountClaim{UID: a.WorkloadUID, Called: a.WorkloadCalled})
	}
	if a.Kubernetes != nil {
		o.Any("kubernetes", a.Kubernetes)
	}
	o.Close()
	return o
}

// access is the inverse of what Sign does to the claims.
func (c *accessClaims) access() Access {
	a := Access{
		Issuer:    c.Issuer,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		Audience:  c.Audience,
		Scopes:    oauth.SplitScope(c.Scope),
		ID:        c.ID,
		GrantID:   c.Latchkey.Grant,
		ClientUID: c.Latchkey.Client,
		UserUID:   c.Latchkey.User,
		Via:       c.Latchkey.Via,
		IssuedAt:  c.IssuedAt.time(),
		ExpiresAt: c.ExpiresAt.time(),
		AuthTime:  c.AuthTime.time(),
	}
	if account := c.Latchkey.ServiceAccount; account != nil {
		a.WorkloadUID, a.WorkloadCalled = account.UID, account.Called
	}
	return a
}
