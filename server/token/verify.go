package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
)

// ErrInactive is a definite no: the token is not good, now and for that audience. What else its message says is for the
// log alone.
var ErrInactive = errors.New("token: not active")

func inactive(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInactive, fmt.Errorf(format, args...))
}

// Verifier says whether access tokens are good.
type Verifier struct {
	Grants   store.Grants
	SignOuts store.SignOuts
	Now      func() time.Time
	// Seen spares the cryptography of tokens that are presented again. When nil, each is verified each time.
	Seen *Seen
}

// Active is a good access token with what it stands for.
type Active struct {
	Access
	Client *registry.Client
	// OriginClient is the client of Access.Origin: Client, unless the token was got by exchange.
	OriginClient *registry.Client
	// Workload is the ServiceAccount on whose behalf the token is; nil for every other token.
	Workload *Workload
	// User and Grant are nil for a token in which no user takes part.
	User  *registry.User
	Grant *store.Grant
}

// Active verifies an access token of the issuer for a party that answers to one of the audiences at least. An error that
// is ErrInactive is a definite no; any other means that the answer is not known, which is never to be taken for "no".
func (v *Verifier) Active(ctx context.Context, iss *registry.Issuer, raw string, audiences []string) (*Active, error) {
	return v.ActiveCandidate(ctx, iss, v.Seen.Candidate(raw), audiences)
}

// ActiveCandidate is Active for a token that was looked at before to find its issuer or audience.
func (v *Verifier) ActiveCandidate(ctx context.Context, iss *registry.Issuer, c Candidate, audiences []string) (*Active, error) {
	now := v.Now()
	// 1. The token itself: size, typ, crit, kid, algorithm, signature, issuer, expiry, audience.
	access, err := v.genuine(iss, c, audiences, now)
	if err != nil {
		return nil, err
	}
	a := &Active{Access: access}
	// 2. The client is still declared, and the object it was; and so is everyone who handed a token on until it came to be.
	if a.Client, err = declared(iss, Party{a.ClientID, a.ClientUID}, a.IssuedAt, now); err != nil {
		return nil, err
	}
	a.OriginClient = a.Client
	for n, shown := range slices.Backward(a.Via) {
		client, err := declared(iss, shown.Party, time.Unix(shown.IssuedAt, 0), now)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			a.OriginClient = client
		}
	}
	// 3. A token without a user lives by its clients alone; that of a workload has one that says so, and nobody else's.
	if a.WorkloadUID != "" {
		if err := a.setWorkload(iss, now); err != nil {
			return nil, err
		}
		return a, nil
	}
	if a.GrantID == "" {
		if a.UserUID != "" || a.Subject != a.OriginClient.ID {
			return nil, inactive("a user's token without a grant")
		}
		return a, nil
	}
	// 4. The grant is alive, and is that of this user and of the client that had the first token.
	if a.Grant, err = v.grant(ctx, iss, a, now); err != nil {
		return nil, err
	}
	// 5. The user is still there, and the object and subject they were.
	user, ok := iss.User(a.Grant.User, a.Grant.UserUID)
	if !ok {
		return nil, missing(iss, a.Grant.UserUID, a.IssuedAt, now, "user")
	}
	if iss.Subject(a.Client, user) != a.Subject {
		return nil, inactive("its user has another subject now")
	}
	a.User = user
	switch over, err := store.SignedOut(v.SignOuts, iss.Name, user.UID, "", a.Grant.IssuedAt); {
	case err != nil:
		return nil, fmt.Errorf("token: read sign-outs: %w", err)
	case over:
		return nil, inactive("its user has signed out everywhere since")
	}
	if iss.CutOff(a.OriginClient, user, a.Grant.IssuedAt, now) { // no token is older than its grant
		return nil, inactive("its grant was made before a cut-off")
	}
	return a, nil
}

// genuine is what the token says, once it is known to be the issuer's, for one of the audiences, and not expired.
func (v *Verifier) genuine(iss *registry.Issuer, c Candidate, audiences []string, now time.Time) (Access, error) {
	if c.seen != nil && c.seen.signedBy(iss.Keys) {
		return c.seen.access, c.seen.access.current(iss, audiences, now)
	}
	access, key, err := c.verify(iss, audiences, now)
	if err != nil {
		return Access{}, err
	}
	v.Seen.remember(c, key, access, now)
	return access, nil
}

// current says whether the token is one of the issuer's for one of the audiences, at that time.
func (a *Access) current(iss *registry.Issuer, audiences []string, now time.Time) error {
	switch {
	case a.Issuer != iss.URL:
		return inactive("it is another issuer's")
	case !now.Before(a.ExpiresAt):
		return inactive("it has expired")
	case now.Add(leeway).Before(a.IssuedAt):
		return inactive("it was issued in the future")
	case !slices.ContainsFunc(audiences, func(audience string) bool { return slices.Contains(a.Audience, audience) }):
		return inactive("it is for others")
	}
	return nil
}

// setWorkload finds out on behalf of which ServiceAccount the token is. It is nobody else's as well, and from where the issuer takes
// workloads.
func (a *Active) setWorkload(iss *registry.Issuer, now time.Time) error {
	w, ok := ParseWorkload(a.Subject, a.WorkloadUID, a.WorkloadCalled)
	switch {
	case !ok || a.GrantID != "" || a.UserUID != "":
		return inactive("a workload's token with another's subject, or a user")
	case iss.Accepts(w.Namespace):
		a.Workload = w
		return nil
	case now.Sub(a.IssuedAt) > maxLag:
		return inactive("the issuer does not accept its namespace any more")
	}
	return errors.New("token: its namespace is not known here to be accepted yet, or any more")
}

// declared finds a client that is the object it was.
func declared(iss *registry.Issuer, party Party, issuedAt, now time.Time) (*registry.Client, error) {
	if party.ID == "" {
		return nil, inactive("it names no client")
	}
	client, ok := iss.Client(party.ID)
	if !ok || client.UID != party.UID {
		return nil, missing(iss, party.UID, issuedAt, now, "client")
	}
	if iss.CutOff(client, nil, issuedAt, now) {
		return nil, inactive("it was issued before a cut-off of the issuer's or a client's")
	}
	return client, nil
}

// missing is what to say of a client or user who is not there: that they are gone, unless the token is so young that
// another replica may know them already and this one not yet.
func missing(iss *registry.Issuer, uid string, issuedAt, now time.Time, what string) error {
	if _, gone := iss.Gone.Get(uid); gone || uid == "" || now.Sub(issuedAt) > maxLag {
		return inactive("its %s is gone", what)
	}
	return fmt.Errorf("token: its %s is not known here yet", what)
}

func (v *Verifier) grant(ctx context.Context, iss *registry.Issuer, a *Active, now time.Time) (*store.Grant, error) {
	g, err := v.Grants.Get(ctx, a.GrantID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, inactive("its grant is gone")
	case err != nil:
		return nil, fmt.Errorf("token: read the grant: %w", err)
	case !g.Alive(now):
		return nil, inactive("its grant is revoked or over")
	case g.AuthorizationServer != iss.Name || g.ClientUID != a.Origin().UID || a.UserUID != "" && g.UserUID != a.UserUID:
		return nil, inactive("its grant is another's")
	}
	return g, nil
}
