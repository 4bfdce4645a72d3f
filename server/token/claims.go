package token

import (
	"slices"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// UserClaims are the claims about a user (OpenID Connect Core section 5.1). A member that was not asked for, or that is not
// declared of the user, is absent.
type UserClaims struct {
	Name                string        `json:"name,omitempty"`
	GivenName           string        `json:"given_name,omitempty"`
	FamilyName          string        `json:"family_name,omitempty"`
	MiddleName          string        `json:"middle_name,omitempty"`
	Nickname            string        `json:"nickname,omitempty"`
	PreferredUsername   string        `json:"preferred_username,omitempty"`
	Profile             string        `json:"profile,omitempty"`
	Picture             string        `json:"picture,omitempty"`
	Website             string        `json:"website,omitempty"`
	Gender              string        `json:"gender,omitempty"`
	Birthdate           string        `json:"birthdate,omitempty"`
	Zoneinfo            string        `json:"zoneinfo,omitempty"`
	Locale              string        `json:"locale,omitempty"`
	UpdatedAt           int64         `json:"updated_at,omitempty"`
	Email               string        `json:"email,omitempty"`
	EmailVerified       bool          `json:"email_verified,omitempty"`
	PhoneNumber         string        `json:"phone_number,omitempty"`
	PhoneNumberVerified bool          `json:"phone_number_verified,omitempty"`
	Address             *AddressClaim `json:"address,omitempty"`
	Groups              []string      `json:"groups,omitempty"`
}

// AddressClaim is OpenID Connect Core section 5.1.1.
type AddressClaim struct {
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}

// userClaim is one claim about a user: the scope that brings it (OpenID Connect Core section 5.4; groups is Latchkey's own), and
// where it comes from.
type userClaim struct {
	name, scope string
	set         func(*UserClaims, *registry.User)
}

// userClaims are all of them. E-mail addresses and phone numbers are verified: the platform's administrators declared them.
var userClaims = []userClaim{
	{"name", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Name = u.DisplayName }},
	{"given_name", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.GivenName = u.Profile.GivenName }},
	{"family_name", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.FamilyName = u.Profile.FamilyName }},
	{"middle_name", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.MiddleName = u.Profile.MiddleName }},
	{"nickname", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Nickname = u.Profile.Nickname }},
	{"preferred_username", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.PreferredUsername = u.Name }},
	{"profile", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Profile = u.Profile.ProfileURL }},
	{"picture", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Picture = u.Profile.PictureURL }},
	{"website", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Website = u.Profile.Website }},
	{"gender", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Gender = u.Profile.Gender }},
	{"birthdate", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Birthdate = u.Profile.Birthdate }},
	{"zoneinfo", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Zoneinfo = u.Profile.Zoneinfo }},
	{"locale", oauth.ScopeProfile, func(c *UserClaims, u *registry.User) { c.Locale = u.Profile.Locale }},
	{"updated_at", oauth.ScopeProfile, setUpdatedAt},
	{"email", oauth.ScopeEmail, func(c *UserClaims, u *registry.User) { c.Email = u.Email }},
	{"email_verified", oauth.ScopeEmail, func(c *UserClaims, u *registry.User) { c.EmailVerified = u.Email != "" }},
	{"phone_number", oauth.ScopePhone, func(c *UserClaims, u *registry.User) { c.PhoneNumber = u.Profile.PhoneNumber }},
	{"phone_number_verified", oauth.ScopePhone, func(c *UserClaims, u *registry.User) { c.PhoneNumberVerified = u.Profile.PhoneNumber != "" }},
	{"address", oauth.ScopeAddress, setAddress},
	{"groups", oauth.ScopeGroups, func(c *UserClaims, u *registry.User) { c.Groups = u.Groups }},
}

func setUpdatedAt(c *UserClaims, u *registry.User) {
	if !u.Profile.UpdatedAt.IsZero() {
		c.UpdatedAt = u.Profile.UpdatedAt.Unix()
	}
}

func setAddress(c *UserClaims, u *registry.User) {
	if u.Profile.Address != (registry.Address{}) {
		address := AddressClaim(u.Profile.Address)
		c.Address = &address
	}
}

// ClaimsOf is what is told of the user: the claims that the scopes bring (OpenID Connect Core section 5.4), and those asked for by
// name (section 5.5). Names that are no claims about a user are ignored.
func ClaimsOf(u *registry.User, scopes, names []string) UserClaims {
	var c UserClaims
	for _, claim := range userClaims {
		if slices.Contains(scopes, claim.scope) || slices.Contains(names, claim.name) {
			claim.set(&c, u)
		}
	}
	return c
}

// ClaimScope is the scope that brings the claim, which a client must declare to ask for the claim by name. False for what is
// no claim about a user.
func ClaimScope(name string) (string, bool) {
	i := slices.IndexFunc(userClaims, func(c userClaim) bool { return c.name == name })
	if i < 0 {
		return "", false
	}
	return userClaims[i].scope, true
}

// ClaimNames are the names of all claims about a user.
func ClaimNames() []string {
	names := make([]string, 0, len(userClaims))
	for _, c := range userClaims {
		names = append(names, c.name)
	}
	return names
}

// AllowedClaims are those of the claims, asked for by name, that the client may ask for: whose scope it declares.
func AllowedClaims(c *registry.Client, names []string) []string {
	var allowed []string
	for _, name := range names {
		if scope, ok := ClaimScope(name); ok && slices.Contains(c.Scopes, scope) && !slices.Contains(allowed, name) {
			allowed = append(allowed, name)
		}
	}
	return allowed
}
