package compile

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/together"
)

// Relaxations are the rules that hold for every client and are relaxed for this one. A public client has none.
func Relaxations(c *v1alpha1.OAuthClient) []v1alpha1.Relaxation {
	if c.Spec.Type == v1alpha1.ClientPublic {
		return nil
	}
	var out []v1alpha1.Relaxation
	if c.Spec.PKCE == v1alpha1.PKCEOptional {
		out = append(out, v1alpha1.RelaxedPKCE)
	}
	if jwt := privateKeyJWT(c); jwt != nil && jwt.Audience == v1alpha1.AudienceIssuerOrTokenEndpoint {
		out = append(out, v1alpha1.RelaxedAssertionAudience)
	}
	if t := c.Spec.RefreshTokens; t != nil && t.Rotation == v1alpha1.RotateNever {
		out = append(out, v1alpha1.RelaxedRefreshTokenRotation)
	}
	return out
}

// clientOf compiles what a client declares of itself, for the issuer with the configuration.
func clientOf(w World, c *v1alpha1.OAuthClient, config *registry.Config) (*registry.Client, *Problem) {
	relaxed := Relaxations(c)
	out := &registry.Client{
		ID: ClientID(c), UID: string(c.UID), Namespace: c.Namespace, Name: c.Name,
		DisplayName: firstNonEmpty(c.Spec.DisplayName, c.Name),
		Public:      c.Spec.Type == v1alpha1.ClientPublic,
		GrantTypes:  sharedTexts(w, c.Spec.GrantTypes), Scopes: sharedTexts(w, c.Spec.Scopes),
		ProofKeyOptional:    slices.Contains(relaxed, v1alpha1.RelaxedPKCE),
		RotateRefreshTokens: !slices.Contains(relaxed, v1alpha1.RelaxedRefreshTokenRotation),
		RevokedBefore:       cutoff(c.Spec.RevokeTokensIssuedBefore),
	}
	if t := c.Spec.IDToken; t != nil {
		out.IDTokenClaimsRequested = t.Claims == v1alpha1.IDTokenClaimsRequested
	}
	for _, uri := range c.Spec.RedirectURIs {
		out.RedirectURIs = append(out.RedirectURIs, registry.ParseRedirectURI(string(uri), out.Public))
	}
	if l := c.Spec.Logout; l != nil {
		out.BackChannelLogoutURI = l.BackChannelURI
		for _, uri := range l.PostLogoutRedirectURIs {
			const exactly = false
			out.PostLogoutRedirectURIs = append(out.PostLogoutRedirectURIs, registry.ParseRedirectURI(string(uri), exactly))
		}
	}
	for _, fill := range []func(*v1alpha1.OAuthClient, *registry.Config, *registry.Client) *Problem{algorithms, credentials, serviceAccounts, sector} {
		if p := fill(c, config, out); p != nil {
			return nil, p
		}
	}
	together.Put(ownTexts(out)...)
	return out, nil
}

// ownTexts are the texts that no other client has.
func ownTexts(c *registry.Client) []*string {
	own := []*string{&c.ID, &c.UID, &c.Name, &c.DisplayName}
	for _, uris := range [][]registry.RedirectURI{c.RedirectURIs, c.PostLogoutRedirectURIs} {
		for i := range uris {
			own = append(own, &uris[i].URI)
		}
	}
	for i := range c.Secrets {
		own = append(own, &c.Secrets[i].ID)
	}
	return own
}

// algorithms sets what is signed for the client with, which the issuer must have keys for.
func algorithms(c *v1alpha1.OAuthClient, config *registry.Config, out *registry.Client) *Problem {
	out.IDTokenAlgorithm = config.IDTokenAlgorithm
	if t := c.Spec.IDToken; t != nil && t.SigningAlgorithm != "" {
		out.IDTokenAlgorithm = keys.Algorithm(t.SigningAlgorithm)
	}
	if u := c.Spec.Userinfo; u != nil {
		out.UserinfoAlgorithm = keys.Algorithm(u.SigningAlgorithm)
	}
	if p := signable("spec.idToken.signingAlgorithm", out.IDTokenAlgorithm, config); p != nil {
		return p
	}
	return signable("spec.userinfo.signingAlgorithm", out.UserinfoAlgorithm, config)
}

// signable is the problem with an algorithm that the issuer has no keys for.
func signable(field string, alg keys.Algorithm, config *registry.Config) *Problem {
	if alg == "" || slices.Contains(config.Algorithms, alg) {
		return nil
	}
	return invalid("%s %s is not among those of AuthorizationServer %s: %v; choose one of them, or have the platform add it to spec.signing.algorithms there",
		field, alg, config.Name, config.Algorithms)
}

// credentials sets how the client proves who it is. Digests in status that no spec asks for, or that it revokes, are worth nothing.
func credentials(c *v1alpha1.OAuthClient, _ *registry.Config, out *registry.Client) *Problem {
	if a := c.Spec.Authentication; a != nil && a.ClientSecret != nil && !out.Public {
		out.Secrets = secrets(c.Status.Secrets, a.ClientSecret.Revoked)
	}
	jwt := privateKeyJWT(c)
	if jwt == nil {
		return nil
	}
	out.Assertion = &registry.Assertion{
		JWKSURI:               jwt.JWKSURI,
		TokenEndpointAudience: jwt.Audience == v1alpha1.AudienceIssuerOrTokenEndpoint,
	}
	if jwt.JWKS == "" {
		return nil
	}
	set, err := keys.ParsePublicSet([]byte(jwt.JWKS))
	if err != nil {
		return invalid("spec.authentication.privateKeyJWT.jwks can't be used: %s; write the client's public keys there as a JWK Set in JSON: {\"keys\": [...]}", strings.TrimPrefix(err.Error(), "keys: "))
	}
	out.Assertion.Keys = set
	return nil
}

// DefaultServiceAccount is whom a pod runs as that names no ServiceAccount: nobody in particular, and so no client.
const DefaultServiceAccount = "default"

// serviceAccounts sets whose tokens are the client's credential, which is the only one then. CEL refuses such a spec at once where it
// can't be.
func serviceAccounts(c *v1alpha1.OAuthClient, _ *registry.Config, out *registry.Client) *Problem {
	a := c.Spec.Authentication
	if a == nil || a.ServiceAccount == nil || a.ClientSecret != nil || a.PrivateKeyJWT != nil || out.Public {
		return nil
	}
	if slices.Contains(a.ServiceAccount.Names, DefaultServiceAccount) {
		return invalid("spec.authentication.serviceAccount.names has %s, as which every pod of the namespace runs that names no other one; make a ServiceAccount for the client", DefaultServiceAccount)
	}
	out.ServiceAccounts = texts(a.ServiceAccount.Names)
	return nil
}

// privateKeyJWT is what the spec says of assertions; nil for a client that signs none.
func privateKeyJWT(c *v1alpha1.OAuthClient) *v1alpha1.PrivateKeyJWT {
	if c.Spec.Authentication == nil || c.Spec.Type == v1alpha1.ClientPublic {
		return nil
	}
	return c.Spec.Authentication.PrivateKeyJWT
}

// sector sets by which pairwise subjects the client knows users (OpenID Connect Core section 8.1): those of its namespace and
// the one host that all its redirect URIs have. Whoever declares a host in another namespace is in another sector.
func sector(c *v1alpha1.OAuthClient, _ *registry.Config, out *registry.Client) *Problem {
	if c.Spec.SubjectType != v1alpha1.SubjectPairwise {
		return nil
	}
	var host string
	for _, uri := range c.Spec.RedirectURIs {
		u, err := url.Parse(string(uri))
		if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return invalid("spec.subjectType is Pairwise and redirect URI %s has no host to make the subjects for; remove it, or set subjectType: Public", uri)
		}
		if host != "" && !strings.EqualFold(host, u.Hostname()) {
			return invalid("spec.subjectType is Pairwise and redirectURIs have different hosts, %s and %s; keep one host, or set subjectType: Public", host, u.Hostname())
		}
		host = strings.ToLower(u.Hostname())
	}
	if host == "" {
		return invalid("spec.subjectType is Pairwise and there is no redirect URI for whose host the subjects could be made; add one, or set subjectType: Public")
	}
	out.Sector = c.Namespace + "/" + host
	return nil
}

// invalid is a terminal problem with the object's own spec, because of which it is refused as a whole.
func invalid(format string, args ...any) *Problem {
	return &Problem{v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, strings.ToValidUTF8(fmt.Sprintf(format, args...), "?"), true}
}
