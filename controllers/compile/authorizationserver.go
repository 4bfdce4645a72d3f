package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Lifetimes where the spec says nothing.
const (
	defaultAuthorizationCode = 60 * time.Second
	defaultToken             = 10 * time.Minute
	defaultSession           = 12 * time.Hour
	defaultRefreshToken      = 30 * 24 * time.Hour
	defaultRefreshTokenIdle  = 7 * 24 * time.Hour
	defaultDeviceCode        = 10 * time.Minute
)

// AuthorizationServer compiles an issuer's configuration; nil when it is refused. With problems it is honoured but for those.
func AuthorizationServer(w World, as *v1alpha1.AuthorizationServer) (*registry.Config, []Problem) {
	url, err := registry.ParseIssuerURL(as.Spec.Issuer)
	if err != nil {
		return nil, []Problem{refused(v1alpha1.ReasonInvalid, "spec.issuer is not an absolute URL")}
	}
	if p := conflict(w, as, url); p != nil {
		return nil, []Problem{*p}
	}
	algorithms := Algorithms(as)
	users, groups := prefixes(as)
	c := &registry.Config{
		IssuerURL: url, Name: as.Name, UID: string(as.UID),
		DisplayName:          firstNonEmpty(as.Spec.DisplayName, url.Hostname()),
		Algorithms:           algorithms,
		AccessTokenAlgorithm: prefer(algorithms, keys.ES256), IDTokenAlgorithm: prefer(algorithms, keys.RS256),
		UsernamePrefix: users, GroupsPrefix: groups,
		Lifetimes: lifetimes(as.Spec.Lifetimes), RevokedBefore: cutoff(as.Spec.RevokeTokensIssuedBefore),
	}
	if k := as.Spec.Kubernetes; k != nil {
		c.KubernetesAudiences = k.Audiences
	}
	problems := badSelectors(as)
	var problem *Problem
	if c.Storage, problem = storage(w, as); problem != nil {
		problems = append(problems, *problem)
	}
	return c, problems
}

// AllowedNamespaces are the namespaces whose workloads the issuer accepts, which are those whose objects it accepts; nil for all. It is
// apart from AuthorizationServer, which every client and API is compiled with, because it depends on every namespace.
func AllowedNamespaces(w World, as *v1alpha1.AuthorizationServer) map[string]struct{} {
	if as.Spec.AllowedNamespaces == nil {
		return nil
	}
	allowed := map[string]struct{}{}
	selector, err := metav1.LabelSelectorAsSelector(&as.Spec.AllowedNamespaces.Selector)
	if err != nil { // of which badSelectors tells
		return allowed
	}
	for _, ns := range w.Namespaces() {
		if selector.Matches(labels.Set(ns.Labels)) {
			allowed[ns.Name] = struct{}{}
		}
	}
	return allowed
}

func badSelectors(as *v1alpha1.AuthorizationServer) []Problem {
	var problems []Problem
	if a := as.Spec.AllowedNamespaces; a != nil {
		if p := badSelector("spec.allowedNamespaces.selector", &a.Selector); p != nil {
			problems = append(problems, *p)
		}
	}
	for i := range as.Spec.ResourceIdentifiers {
		a := &as.Spec.ResourceIdentifiers[i]
		if p := badSelector("spec.resourceIdentifiers: namespaceSelector for "+a.Prefix, &a.NamespaceSelector); p != nil {
			problems = append(problems, *p)
		}
	}
	return problems
}

// Algorithms are the JWS algorithms that an issuer has keys for.
func Algorithms(as *v1alpha1.AuthorizationServer) []keys.Algorithm {
	if as.Spec.Signing == nil || len(as.Spec.Signing.Algorithms) == 0 {
		return []keys.Algorithm{keys.ES256, keys.RS256}
	}
	var out []keys.Algorithm
	for _, a := range as.Spec.Signing.Algorithms {
		out = append(out, keys.Algorithm(a))
	}
	return out
}

// KeySchedule is when an issuer's keys change. A retired key is kept for as long as anything it made can be of use: an ID token is a hint
// at its session, even after it expired.
func KeySchedule(as *v1alpha1.AuthorizationServer) keys.Schedule {
	const clockSkew = 5 * time.Minute
	var interval, ahead *v1alpha1.Duration
	if as.Spec.Signing != nil && as.Spec.Signing.Rotation != nil {
		interval, ahead = as.Spec.Signing.Rotation.Interval, as.Spec.Signing.Rotation.PublishAhead
	}
	l := lifetimes(as.Spec.Lifetimes)
	return keys.Schedule{
		Algorithms:   Algorithms(as),
		Interval:     durationOr(interval, 720*time.Hour),
		PublishAhead: durationOr(ahead, 24*time.Hour),
		Keep:         max(l.AccessToken, l.IDToken, l.Session) + clockSkew,
		KeepSealing:  max(l.AuthorizationCode, l.Session, l.DeviceCode) + clockSkew,
	}
}

func prefer(algorithms []keys.Algorithm, wanted keys.Algorithm) keys.Algorithm {
	if slices.Contains(algorithms, wanted) {
		return wanted
	}
	return algorithms[0]
}

// prefixes of usernames and groups in TokenReview answers. Each ends with its only colon, so that different prefixes give
// different names.
func prefixes(as *v1alpha1.AuthorizationServer) (users, groups string) {
	def := "oauth:"
	if as.Name != v1alpha1.DefaultAuthorizationServerName {
		def = "oauth." + as.Name + ":"
	}
	if k := as.Spec.Kubernetes; k != nil {
		return firstNonEmpty(k.UsernamePrefix, def), firstNonEmpty(k.GroupsPrefix, def)
	}
	return def, def
}

// AccessTokenLifetime is how long access tokens of an issuer live at most.
func AccessTokenLifetime(as *v1alpha1.AuthorizationServer) time.Duration {
	return lifetimes(as.Spec.Lifetimes).AccessToken
}

func lifetimes(l *v1alpha1.Lifetimes) registry.Lifetimes {
	if l == nil {
		l = &v1alpha1.Lifetimes{}
	}
	refresh := durationOr(l.RefreshToken, defaultRefreshToken)
	return registry.Lifetimes{
		AuthorizationCode: min(durationOr(l.AuthorizationCode, defaultAuthorizationCode), defaultAuthorizationCode),
		AccessToken:       durationOr(l.AccessToken, defaultToken),
		IDToken:           durationOr(l.IDToken, defaultToken),
		Session:           durationOr(l.Session, defaultSession),
		RefreshToken:      refresh,
		RefreshTokenIdle:  min(durationOr(l.RefreshTokenIdle, defaultRefreshTokenIdle), refresh),
		DeviceCode:        durationOr(l.DeviceCode, defaultDeviceCode),
	}
}

// conflict finds an older AuthorizationServer that stands in the way.
func conflict(w World, as *v1alpha1.AuthorizationServer, url registry.IssuerURL) *Problem {
	users, groups := prefixes(as)
	for _, other := range w.AuthorizationServers() {
		if other.UID == as.UID || !older(other, as) {
			continue
		}
		if o, err := registry.ParseIssuerURL(other.Spec.Issuer); err == nil && nested(url, o) {
			p := refused(v1alpha1.ReasonIssuerConflict, "issuer %s is the same as, or nested in, that of AuthorizationServer %s, which is older; choose another host or path", as.Spec.Issuer, other.Name)
			return &p
		}
		if ou, og := prefixes(other); ou == users || og == groups {
			p := refused(v1alpha1.ReasonPrefixConflict, "spec.kubernetes.usernamePrefix %s or groupsPrefix %s is already that of AuthorizationServer %s; users of two issuers must not share names", users, groups, other.Name)
			return &p
		}
	}
	return nil
}

// nested says whether two issuers share a host and path, or one path lies below the other. An issuer without a path may
// share its host with others: the reserved first segments keep their URLs apart.
func nested(a, b registry.IssuerURL) bool {
	if !strings.EqualFold(a.Host, b.Host) {
		return false
	}
	if a.Path == b.Path {
		return true
	}
	return a.Path != "" && b.Path != "" &&
		(strings.HasPrefix(a.Path, b.Path+"/") || strings.HasPrefix(b.Path, a.Path+"/"))
}

// refused is a terminal problem that makes Ready False.
func refused(reason, format string, args ...any) Problem {
	return Problem{v1alpha1.ConditionReady, reason, fmt.Sprintf(format, args...), true}
}
