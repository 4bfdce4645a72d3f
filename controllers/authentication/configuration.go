// Package authentication makes the AuthenticationConfiguration by which a kube-apiserver verifies the tokens of issuers itself, without
// asking.
package authentication

import (
	"fmt"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// maxIssuers is how many kube-apiserver takes: with one more it takes none of them.
const maxIssuers = 64

// At is where kube-apiserver finds the keys of issuers. The zero At is at the issuers' own URLs, whose certificates are by an authority
// that the machine trusts.
type At struct {
	// Address is host:port of the listener for TokenReviews, as kube-apiserver reaches it.
	Address string
	// Bundle is by which that is verified, as PEM; the machine's own authorities where it is empty.
	Bundle []byte
}

// The parts of apiserver.config.k8s.io/v1 that are written. k8s.io/apiserver has all of them, and much else that a program would carry.
type (
	configuration struct {
		APIVersion string             `json:"apiVersion"`
		Kind       string             `json:"kind"`
		JWT        []jwtAuthenticator `json:"jwt"`
	}
	jwtAuthenticator struct {
		Issuer               issuer        `json:"issuer"`
		ClaimValidationRules []rule        `json:"claimValidationRules"`
		ClaimMappings        claimMappings `json:"claimMappings"`
		UserValidationRules  []rule        `json:"userValidationRules"`
	}
	issuer struct {
		URL                  string   `json:"url"`
		DiscoveryURL         string   `json:"discoveryURL,omitempty"`
		CertificateAuthority string   `json:"certificateAuthority,omitempty"`
		Audiences            []string `json:"audiences"`
		AudienceMatchPolicy  string   `json:"audienceMatchPolicy"`
	}
	claimMappings struct {
		Username expression `json:"username"`
		Groups   expression `json:"groups"`
		UID      expression `json:"uid"`
		Extra    []extra    `json:"extra"`
	}
	expression struct {
		Expression string `json:"expression"`
	}
	extra struct {
		Key             string `json:"key"`
		ValueExpression string `json:"valueExpression"`
	}
	rule struct {
		Expression string `json:"expression"`
		Message    string `json:"message"`
	}
)

// Configuration is the AuthenticationConfiguration for the issuers, as YAML. Each is one that compile.NotVerifiable has nothing against;
// of more than kube-apiserver takes, the first are in it.
func Configuration(issuers []*registry.Config, at At) ([]byte, error) {
	c := configuration{APIVersion: "apiserver.config.k8s.io/v1", Kind: "AuthenticationConfiguration", JWT: []jwtAuthenticator{}}
	for _, i := range issuers[:min(len(issuers), maxIssuers)] {
		c.JWT = append(c.JWT, authenticator(i, at))
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("AuthenticationConfiguration: %w", err)
	}
	return text, nil
}

// authenticator decides as a TokenReview does, as far as a token can tell: its names are those that server/token gives it for this, and
// what all other tokens of the issuer lack is required.
func authenticator(c *registry.Config, at At) jwtAuthenticator {
	return jwtAuthenticator{
		Issuer:               at.issuer(c),
		ClaimValidationRules: claimRules(),
		ClaimMappings:        mappings(c),
		UserValidationRules: []rule{
			{`!user.username.lowerAscii().startsWith("system:")`, "the username is reserved for Kubernetes"},
			{`user.groups.all(g, !g.lowerAscii().startsWith("system:"))`, "a group is reserved for Kubernetes"},
		},
	}
}

func (at At) issuer(c *registry.Config) issuer {
	i := issuer{URL: c.URL, Audiences: c.KubernetesAudiences, AudienceMatchPolicy: "MatchAny", CertificateAuthority: string(at.Bundle)}
	if at.Address != "" {
		i.DiscoveryURL = "https://" + at.Address + oauth.KubernetesDiscoveryPath(c.Name)
	}
	return i
}

// own is what is Latchkey's own in a token, named what it says for kube-apiserver (token.KubernetesUser).
const (
	own   = `claims["` + oauth.ClaimLatchkey + `"]`
	named = own + `.kubernetes`
)

// claimRules hold for the access tokens that are issued for kube-apiserver, and for no ID token or other token. That a token is an access
// token its `typ` says, which kube-apiserver does not look at. An expression that fails, for want of a claim, refuses the token as well.
func claimRules() []rule {
	rules := []rule{
		{"has(" + named + ")", "not a token that was issued for kube-apiserver"},
		{fmt.Sprintf("has(claims.iat) && claims.exp - claims.iat <= %d", int(compile.MaxKubernetesLifetime.Seconds())), "the token lives for longer than it may without being asked about"},
	}
	for _, claim := range []string{"client_id", "jti", "scope"} {
		rules = append(rules, rule{"has(claims." + claim + ")", "not an access token: claim " + claim + " is missing"})
	}
	return rules
}

// mappings give the names and extra keys that a TokenReview is answered with. The credential-id kube-apiserver makes of jti itself.
func mappings(c *registry.Config) claimMappings {
	list := func(field, otherwise string) string { return "has(" + field + ") ? " + field + " : " + otherwise }
	return claimMappings{
		Username: expression{strconv.Quote(c.UsernamePrefix) + " + " + named + ".username"},
		Groups:   expression{fmt.Sprintf("has(%[1]s.groups) ? %[1]s.groups.map(g, %[2]s + g) : []", named, strconv.Quote(c.GroupsPrefix))},
		UID:      expression{named + ".uid"},
		Extra: []extra{
			{oauth.ExtraIssuer, "claims.iss"},
			{oauth.ExtraClientID, "claims.client_id"},
			{oauth.ExtraScope, `claims.scope.split(" ").map(s, s)`}, // kube-apiserver refuses the list that split makes
			{oauth.ExtraActor, list(named+".actors", "[]")},
			{oauth.ExtraGrantID, list(own+".grant", `""`)},
		},
	}
}
