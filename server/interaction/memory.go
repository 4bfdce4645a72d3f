package interaction

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// Memory is what a user approved before, and did not take back: what live grants of the same user and client objects hold.
// The nil Memory remembers nothing.
type Memory struct {
	grants []*store.Grant
}

// Remember looks up what the signed-in user approved before for the client of a valid request. Nothing is remembered of a
// redirect URI that any program on the user's machine may listen to (RFC 8252 section 8.6), or when the client wants the
// user to be asked. An error means that it is not known.
func Remember(ctx context.Context, grants store.Grants, signOuts store.SignOuts, v *Visit) (*Memory, error) {
	return remember(ctx, grants.Find, signOuts, v)
}

// finder is what finds grants: Find of a store, or less.
type finder func(context.Context, store.Query) ([]*store.Grant, error)

func remember(ctx context.Context, find finder, signOuts store.SignOuts, v *Visit) (*Memory, error) {
	s := v.Browser.Session
	if s == nil || v.Prompts(oauth.PromptConsent) || !exclusive(v.RedirectURI) {
		return nil, nil
	}
	found, err := find(ctx, store.Query{AuthorizationServer: v.Issuer.Name, UserUID: s.User.UID, ClientUID: v.Client.UID})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return &Memory{}, nil
	}
	signedOutAt, err := signOuts.SignedOutAt(v.Issuer.Name, s.User.UID)
	if err != nil {
		return nil, err
	}
	return &Memory{slices.DeleteFunc(found, func(g *store.Grant) bool {
		over := !signedOutAt.IsZero() && !g.IssuedAt.After(signedOutAt)
		return over || !g.Alive(v.Now) || v.Issuer.CutOff(v.Client, s.User, g.IssuedAt, v.Now)
	})}, nil
}

// exclusive says whether the client alone can be behind the redirect URI: not so for loopback and for schemes that any
// application may claim (RFC 8252 sections 8.1 and 8.3).
func exclusive(redirectURI string) bool {
	u, err := url.Parse(redirectURI)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback() && !ip.IsUnspecified()
}

// Lasts says whether grants of the session remember all of it until the time, in whole seconds, or longer.
func (m *Memory) Lasts(c *registry.Client, ask *registry.Ask, sessionID string, until time.Time) bool {
	lasting := &Memory{}
	for _, g := range m.held() {
		if g.SessionID == sessionID && !g.ExpiresAt.Before(until.Truncate(time.Second)) {
			lasting.grants = append(lasting.grants, g)
		}
	}
	return lasting.Propose(c, ask).Nothing()
}

func (m *Memory) held() []*store.Grant {
	if m == nil {
		return nil
	}
	return m.grants
}

// Proposal is what a user is asked to approve.
type Proposal struct {
	// New was not approved before, Known was. Both hold offline_access where the client will be able to refresh, whether it
	// asked for it by this name or not.
	New, Known *registry.Ask
}

// Propose divides what the client asks for into what is new and what is known.
func (m *Memory) Propose(c *registry.Client, ask *registry.Ask) Proposal {
	p := Proposal{New: &registry.Ask{}, Known: &registry.Ask{}}
	split := func(name string, known bool, of func(*registry.Ask) *[]string) {
		into := of(p.New)
		if known {
			into = of(p.Known)
		}
		*into = append(*into, name)
	}
	for _, name := range withOffline(c, ask) {
		split(name, m.knowsScope(name), func(a *registry.Ask) *[]string { return &a.Identity })
	}
	for _, name := range ask.UserinfoClaims {
		split(name, m.knowsClaim(name), func(a *registry.Ask) *[]string { return &a.UserinfoClaims })
	}
	for _, name := range ask.IDTokenClaims {
		split(name, m.knowsClaim(name), func(a *registry.Ask) *[]string { return &a.IDTokenClaims })
	}
	for _, t := range ask.Targets {
		m.splitTarget(&p, t)
	}
	return p
}

// withOffline are the identity scopes, with offline_access where it is implied.
func withOffline(c *registry.Client, ask *registry.Ask) []string {
	refreshes := ask.Offline() && slices.Contains(c.GrantTypes, oauth.GrantRefreshToken)
	if !refreshes || slices.Contains(ask.Identity, oauth.ScopeOfflineAccess) {
		return ask.Identity
	}
	return append(slices.Clone(ask.Identity), oauth.ScopeOfflineAccess)
}

func (m *Memory) splitTarget(p *Proposal, t registry.Target) {
	fresh, known := registry.Target{Resource: t.Resource}, registry.Target{Resource: t.Resource}
	for _, s := range t.Scopes {
		if m.knowsAt(t.Resource.Identifier, s.Name) {
			known.Scopes = append(known.Scopes, s)
		} else {
			fresh.Scopes = append(fresh.Scopes, s)
		}
	}
	if len(fresh.Scopes) > 0 || len(t.Scopes) == 0 && !m.knowsAt(t.Resource.Identifier, "") {
		p.New.Targets = append(p.New.Targets, fresh)
	}
	if len(known.Scopes) > 0 || len(t.Scopes) == 0 && m.knowsAt(t.Resource.Identifier, "") {
		p.Known.Targets = append(p.Known.Targets, known)
	}
}

func (m *Memory) knowsScope(name string) bool {
	return slices.ContainsFunc(m.held(), func(g *store.Grant) bool {
		return slices.Contains(g.Scopes, name) || name == oauth.ScopeOfflineAccess && !g.RefreshUntil.IsZero()
	})
}

// knowsClaim: a claim is known by its name, wherever it is told, or by its scope.
func (m *Memory) knowsClaim(name string) bool {
	scope, _ := token.ClaimScope(name)
	return slices.ContainsFunc(m.held(), func(g *store.Grant) bool {
		return slices.Contains(g.Scopes, scope) || slices.Contains(g.UserinfoClaims, name) || slices.Contains(g.IDTokenClaims, name)
	})
}

// knowsAt says whether the scope was approved at the resource; empty for the resource itself.
func (m *Memory) knowsAt(resource, scope string) bool {
	return slices.ContainsFunc(m.held(), func(g *store.Grant) bool {
		return slices.ContainsFunc(g.Targets, func(t store.Target) bool {
			return t.Resource == resource && (scope == "" || slices.Contains(t.Scopes, scope))
		})
	})
}

// Nothing says whether there is nothing new.
func (p Proposal) Nothing() bool {
	n := p.New
	return len(n.Identity)+len(n.UserinfoClaims)+len(n.IDTokenClaims)+len(n.Targets) == 0
}

// Digest is short, and differs between any two proposals that a user would not be shown as the same thing.
func (p Proposal) Digest(c *registry.Client) string {
	sum := sha256.Sum256([]byte(p.New.Digest(c) + p.Known.Digest(c)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
