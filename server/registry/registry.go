// Package registry holds the world as a request sees it: an immutable Snapshot of issuers with their clients, users,
// resource servers and keys, all compiled beforehand, and the Holder from which a request takes it once.
package registry

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
)

// Holder hands out the current Snapshot. The zero Holder has none yet.
type Holder struct {
	current atomic.Pointer[Snapshot]
}

// Load returns the current Snapshot, nil before the first Store.
func (h *Holder) Load() *Snapshot { return h.current.Load() }

// Store replaces the Snapshot.
func (h *Holder) Store(s *Snapshot) { h.current.Store(s) }

// Has says whether an issuer with exactly that issuer identifier is among those of now.
func (h *Holder) Has(issuer string) bool {
	s := h.Load()
	if s == nil {
		return false
	}
	_, ok := s.ByURL(issuer)
	return ok
}

// Snapshot is one consistent world. It never changes.
type Snapshot struct {
	issuers []*Issuer
	byURL   map[string]*Issuer
	byPath  map[string][]*Issuer
}

// NewSnapshot indexes the issuers, whose URLs differ.
func NewSnapshot(issuers []*Issuer) *Snapshot {
	s := &Snapshot{issuers: issuers, byURL: map[string]*Issuer{}, byPath: map[string][]*Issuer{}}
	for _, i := range issuers {
		s.byURL[i.URL] = i
		s.byPath[i.Path] = append(s.byPath[i.Path], i)
	}
	return s
}

// Issuers returns all issuers, in no particular order.
func (s *Snapshot) Issuers() []*Issuer { return s.issuers }

// ByURL returns the issuer with exactly that issuer identifier.
func (s *Snapshot) ByURL(issuer string) (*Issuer, bool) {
	i, ok := s.byURL[issuer]
	return i, ok
}

// ByName returns the issuer of the AuthorizationServer of that name.
func (s *Snapshot) ByName(name string) (*Issuer, bool) {
	n := slices.IndexFunc(s.issuers, func(i *Issuer) bool { return i.Name == name })
	if n < 0 {
		return nil, false
	}
	return s.issuers[n], true
}

// ByPath returns the issuer whose path is exactly path ("" for an issuer without one). Where issuers of several hosts
// share the path, host, as in the Host header, chooses; it is never believed for anything else.
func (s *Snapshot) ByPath(host, path string) (*Issuer, bool) {
	candidates := s.byPath[path]
	if len(candidates) == 1 {
		return candidates[0], true
	}
	for _, i := range candidates {
		if strings.EqualFold(i.Host, host) {
			return i, true
		}
	}
	return nil, false
}

// Config is what an AuthorizationServer declares, resolved: the part of an Issuer that changes with that object alone.
type Config struct {
	IssuerURL
	// Name and UID are the AuthorizationServer object's.
	Name, UID string
	// DisplayName is what pages call the issuer.
	DisplayName string
	// Algorithms are the JWS algorithms there are keys for. AccessTokenAlgorithm and IDTokenAlgorithm are the defaults.
	Algorithms                             []keys.Algorithm
	AccessTokenAlgorithm, IDTokenAlgorithm keys.Algorithm
	// UsernamePrefix and GroupsPrefix precede names in TokenReview answers; never empty.
	UsernamePrefix, GroupsPrefix string
	// KubernetesAudiences are kube-apiserver's own audiences, empty where tokens for it are not issued.
	KubernetesAudiences []string
	// Lifetimes bound what is issued.
	Lifetimes Lifetimes
	// RevokedBefore is from when on sessions, codes, grants and tokens count.
	RevokedBefore Cutoff
	// Storage is where its grants are kept, nil for where the server keeps them otherwise.
	Storage *Storage
	// Namespaces are those whose workloads the issuer accepts; nil for all.
	Namespaces map[string]struct{}
}

// Accepts says whether the issuer accepts workloads of the namespace.
func (c *Config) Accepts(namespace string) bool {
	_, ok := c.Namespaces[namespace]
	return ok || c.Namespaces == nil
}

// Lifetimes are an issuer's lifetimes.
type Lifetimes struct {
	AuthorizationCode, AccessToken, IDToken, Session time.Duration
	// RefreshToken is how long a grant can be refreshed at all, RefreshTokenIdle how long it can be left alone. Neither exceeds
	// what the grant's other lifetimes need.
	RefreshToken, RefreshTokenIdle time.Duration
	// DeviceCode is how long a user may take to enter a user code (RFC 8628 section 3.2).
	DeviceCode time.Duration
}

// Issuer is an authorization server with all that belongs to it.
type Issuer struct {
	*Config
	// Keys sign, seal and digest for this issuer.
	Keys *keys.Set
	// Clients by client_id; Users by username; Resources by identifier. Only what is valid and enabled is in them.
	Clients   Map[*Client]
	Users     Map[*User]
	Resources Map[*Resource]
	// Gone are the UIDs of clients and users that were there before. It tells those that are no more from those that this
	// replica has not heard of yet; it is forgotten from time to time.
	Gone Map[struct{}]
}

// Client returns the client with the id.
func (i *Issuer) Client(id string) (*Client, bool) { return i.Clients.Get(id) }

// User returns the user, if it is the very object that uid names.
func (i *Issuer) User(name, uid string) (*User, bool) {
	u, ok := i.Users.Get(name)
	return u, ok && u.UID == uid
}

// Client is an OAuthClient, compiled. There may be 100,000 of them: members of one size stand together.
type Client struct {
	// ID is the client_id; UID the object's.
	ID, UID         string
	Namespace, Name string
	DisplayName     string
	// Public clients have no credential.
	Public bool
	// IDTokenClaimsRequested: its ID tokens tell of the user only what the claims parameter asks of them (OpenID Connect Core
	// section 5.5), and not what scopes name.
	IDTokenClaimsRequested bool
	// RotateRefreshTokens: every refresh gives a new refresh token. Always so for public clients.
	RotateRefreshTokens bool
	// ProofKeyOptional: the client may do without PKCE. Never so for public clients.
	ProofKeyOptional bool
	// RedirectURIs in their declared order.
	RedirectURIs []RedirectURI
	// GrantTypes the client may use.
	GrantTypes []string
	// Scopes are the identity scopes it may ask for.
	Scopes []string
	// Access lists the resources it may ask for, with the scopes that their owners allow.
	Access []Access
	// Secrets are the digests of its secrets, empty for a client that has none.
	Secrets []Secret
	// Assertion is how it authenticates with assertions of its own (RFC 7523), nil when it doesn't.
	Assertion *Assertion
	// ServiceAccounts are the names of those in its own namespace whose tokens are its credential, empty for a client that has another.
	ServiceAccounts []string
	// IDTokenAlgorithm signs its ID tokens and logout tokens.
	IDTokenAlgorithm keys.Algorithm
	// UserinfoAlgorithm signs userinfo responses; empty for JSON (OpenID Connect Core section 5.3.2).
	UserinfoAlgorithm keys.Algorithm
	// Sector is whose users' pairwise subjects the client sees, empty for public subjects (OpenID Connect Core section 8).
	Sector string
	// PostLogoutRedirectURIs are where users may be sent after they signed out, compared exactly.
	PostLogoutRedirectURIs []RedirectURI
	// BackChannelLogoutURI is told when a user signs out; empty for a client that does not care.
	BackChannelLogoutURI string
	// RevokedBefore is from when on codes, grants and tokens of the client count.
	RevokedBefore Cutoff
}

// Assertion is what a client's assertions are verified with (RFC 7523, OpenID Connect Core section 9).
type Assertion struct {
	// Keys are its public keys, empty when they are at JWKSURI.
	Keys *keys.PublicSet
	// JWKSURI is where its keys are fetched, empty when they are declared.
	JWKSURI string
	// TokenEndpointAudience: the URL of the token endpoint counts as audience beside the issuer identifier.
	TokenEndpointAudience bool
}

// Access is a resource that a client may ask for.
type Access struct {
	Resource *Resource
	// Scopes of the resource that the client may ask for, in the resource's order.
	Scopes []*Scope
}

// Scope returns the allowed scope of that name.
func (a *Access) Scope(name string) (*Scope, bool) {
	for _, s := range a.Scopes {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// AccessTo returns what the client may ask for at the resource with the identifier.
func (c *Client) AccessTo(identifier string) (*Access, bool) {
	for i := range c.Access {
		if c.Access[i].Resource.Identifier == identifier {
			return &c.Access[i], true
		}
	}
	return nil, false
}

// Registered says whether a requested redirect URI is one of the client's.
func (c *Client) Registered(redirectURI string) bool {
	return slices.ContainsFunc(c.RedirectURIs, func(r RedirectURI) bool { return r.Matches(redirectURI) })
}

// Secret is the digest of a client secret, as keys.Set.ClientDigest computes it.
type Secret struct {
	ID     string
	Digest [32]byte
	// ExpiresAt is zero for a secret that does not expire.
	ExpiresAt time.Time
}

// Resource is a ResourceServer, compiled; or the built-in one that stands for kube-apiserver.
type Resource struct {
	// Identifier is the audience of tokens for it.
	Identifier string
	// Namespace and Name are the ResourceServer's, both empty for kube-apiserver.
	Namespace, Name string
	UID             string
	DisplayName     string
	Scopes          []*Scope
	// Lifetime and Algorithm of access tokens for it.
	Lifetime  time.Duration
	Algorithm keys.Algorithm
	// Kubernetes is true for kube-apiserver.
	Kubernetes bool
	// Introspectors are the client_ids that may introspect tokens for it (RFC 7662).
	Introspectors []string
	// Exchangers are the client_ids that may exchange tokens for it (RFC 8693).
	Exchangers []string
}

// Scope is one permission at a resource.
type Scope struct {
	Name, Description string
	// RequiredGroups: only members of one of them may grant the scope; everybody when empty.
	RequiredGroups []string
}

// PermittedTo says whether the user may grant the scope.
func (s *Scope) PermittedTo(u *User) bool {
	return len(s.RequiredGroups) == 0 || slices.ContainsFunc(s.RequiredGroups, func(g string) bool { return slices.Contains(u.Groups, g) })
}

// User is a LocalUser, compiled.
type User struct {
	// Name is the username; UID the object's.
	Name, UID string
	// Subject is the `sub` claim.
	Subject            string
	DisplayName, Email string
	Groups             []string
	// Profile is what else is declared of the user.
	Profile Profile
	// PasswordHash is an argon2id PHC string or a bcrypt hash; empty for a user who can't sign in.
	PasswordHash string
	// CredentialVersion changes with the password: sessions of an older one are over.
	CredentialVersion string
	// RevokedBefore is from when on sessions, codes, grants and tokens of the user count.
	RevokedBefore Cutoff
}

// Profile are standard claims (OpenID Connect Core section 5.1), each empty where it isn't declared.
type Profile struct {
	GivenName, FamilyName, MiddleName, Nickname string
	// ProfileURL, PictureURL and Website are URLs.
	ProfileURL, PictureURL, Website string
	// Gender, Birthdate (YYYY-MM-DD), Zoneinfo (an IANA time zone) and Locale (BCP 47) as the standard has them.
	Gender, Birthdate, Zoneinfo, Locale string
	// UpdatedAt is when any of it changed last.
	UpdatedAt time.Time
	// PhoneNumber is in E.164 form. It is verified: the platform's administrators declared it.
	PhoneNumber string
	Address     Address
}

// Address is the `address` claim (OpenID Connect Core section 5.1.1).
type Address struct {
	Formatted, StreetAddress, Locality, Region, PostalCode, Country string
}

// Subject is the `sub` by which the client knows the user: pairwise for a client that belongs to a sector.
func (i *Issuer) Subject(c *Client, u *User) string {
	if c.Sector == "" {
		return u.Subject
	}
	return i.Keys.PairwiseSubject(c.Sector, u.Subject)
}

// SessionID is the `sid` by which the client knows the session, in ID tokens and logout tokens.
func (i *Issuer) SessionID(c *Client, sessionID string) string {
	if c.Sector == "" || sessionID == "" {
		return sessionID
	}
	return i.Keys.PairwiseSessionID(c.Sector, sessionID)
}
