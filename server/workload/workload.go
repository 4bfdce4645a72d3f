// Package workload proves which ServiceAccount is calling, which may be what a client is known by, or has called a client, and finds out
// for which ResourceServers it may have tokens reviewed or introspected, by asking kube-apiserver: a TokenReview and a SubjectAccessReview.
// Answers are kept for seconds.
package workload

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// cacheYes and cacheNo are how long an answer of kube-apiserver's about a caller is believed. A no is what somebody who is
	// setting a service up meets, and must go away soon.
	cacheYes = 10 * time.Second
	cacheNo  = 2 * time.Second
	// cacheSize bounds each of the two caches, in entries.
	cacheSize = 4096
	// maxCalls bounds the questions to kube-apiserver at one time: anybody who reaches a listener can cause one. About callers from one
	// network there are a sixteenth as many, so that one who forges tokens doesn't keep others waiting.
	maxCalls = 64
	// callTimeout bounds one of them, waiting for its turn included.
	callTimeout = 5 * time.Second
)

// What a caller must be allowed.
const (
	reviewVerb     = "review"
	reviewGroup    = "oauth.latchkey.io"
	reviewResource = "resourceservers"
)

const serviceAccountPrefix = "system:serviceaccount:"

var (
	// ErrUnproven is a definite no: the token is not a ServiceAccount's, or not for the audiences.
	ErrUnproven = errors.New("workload: not a ServiceAccount token for the audiences")
	// ErrBusy says that too many callers are being asked about: to be tried again in a moment.
	ErrBusy = errors.New("workload: too many callers at once")
)

// Caller is a ServiceAccount that has proven itself.
type Caller struct {
	user authenticationv1.UserInfo
	key  digest
}

// Username is the ServiceAccount's, system:serviceaccount:<namespace>:<name>.
func (c *Caller) Username() string { return c.user.Username }

// digest stands for a token and the audiences that it was held against.
type digest [sha256.Size]byte

// Callers asks kube-apiserver about callers. It is safe for concurrent use.
type Callers struct {
	reviews     authenticationclient.TokenReviewInterface
	access      authorizationclient.SubjectAccessReviewInterface
	ours        func(issuer string) bool
	now         func() time.Time
	identities  *cache.LRUExpireCache
	permissions *cache.LRUExpireCache
	turns       *limit.Turns
}

// NewCallers makes Callers that ask with the two clients. Their rest.Config should not have client-go's default limit of 5
// requests a second. ours says whether an issuer is one of this server's: kube-apiserver would ask us about its tokens.
func NewCallers(reviews authenticationclient.TokenReviewInterface, access authorizationclient.SubjectAccessReviewInterface, ours func(issuer string) bool, now func() time.Time) *Callers {
	return &Callers{
		reviews: reviews, access: access, ours: ours, now: now,
		identities:  cache.NewLRUExpireCacheWithClock(cacheSize, clock(now)),
		permissions: cache.NewLRUExpireCacheWithClock(cacheSize, clock(now)),
		turns:       limit.NewTurns(maxCalls),
	}
}

type clock func() time.Time

func (c clock) Now() time.Time { return c() }

// identity is what kube-apiserver said of a token.
type identity struct {
	user      authenticationv1.UserInfo
	audiences []string
}

// Authenticate proves a ServiceAccount, which calls from an address, by a token of its own whose audience is one of audiences: a token
// that a pod has for kube-apiserver, or for another service, is not to be sent here. ErrUnproven is a definite no; any other error means
// that the answer is not known.
func (c *Callers) Authenticate(ctx context.Context, from netip.Addr, audiences []string, raw string) (*Caller, error) {
	if len(audiences) == 0 { // kube-apiserver would take none for its own
		return nil, ErrUnproven
	}
	issuer, ok := token.PeekIssuer(raw)
	if !ok || c.ours(issuer) || slices.Contains(audiences, issuer) { // no JWT, or one about which kube-apiserver would ask us
		return nil, ErrUnproven
	}
	if expiry, ok := token.PeekExpiry(raw); ok && !c.now().Before(expiry) { // kube-apiserver would take it for a minute more
		return nil, ErrUnproven
	}
	key := digestOf(raw, audiences)
	id, err := c.identify(ctx, from, key, raw, audiences)
	if err != nil {
		return nil, err
	}
	forUs := slices.ContainsFunc(id.audiences, func(a string) bool { return slices.Contains(audiences, a) })
	if !forUs || !strings.HasPrefix(id.user.Username, serviceAccountPrefix) {
		return nil, ErrUnproven
	}
	return &Caller{user: id.user, key: key}, nil
}

// ServiceAccount says whose a token is, by namespace and name, if it is a ServiceAccount's for this audience, which is an issuer of ours,
// and for no other: whoever else it is for has been shown it, and could show it here. Both are empty for a definite no; an error means
// that the answer is not known.
func (c *Callers) ServiceAccount(ctx context.Context, from netip.Addr, audience, raw string) (namespace, name string, err error) {
	if !slices.Equal(token.PeekAudience(raw), []string{audience}) { // which kube-apiserver's yes makes true
		return "", "", nil
	}
	caller, err := c.Authenticate(ctx, from, []string{audience}, raw)
	switch {
	case errors.Is(err, ErrUnproven):
		return "", "", nil
	case err != nil:
		return "", "", err
	}
	namespace, name, _ = strings.Cut(strings.TrimPrefix(caller.Username(), serviceAccountPrefix), ":")
	return namespace, name, nil
}

// Workload says whose a token is if it is a ServiceAccount's for the audience, which is the identifier of a ResourceServer. Nil is a
// definite no; an error means that the answer is not known.
func (c *Callers) Workload(ctx context.Context, from netip.Addr, audience, raw string) (*token.Workload, error) {
	caller, err := c.Authenticate(ctx, from, []string{audience}, raw)
	switch {
	case errors.Is(err, ErrUnproven):
		return nil, nil
	case err != nil:
		return nil, err
	}
	w, _ := token.ParseWorkload(caller.Username(), caller.user.UID, audience)
	return w, nil
}

// digestOf writes each string with its length before it, so that no two lists give the same bytes.
func digestOf(raw string, audiences []string) digest {
	h := sha256.New()
	for _, s := range append([]string{raw}, slices.Sorted(slices.Values(audiences))...) {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) // a hash's Write never fails
		_, _ = h.Write([]byte(s))
	}
	return digest(h.Sum(nil))
}

// identify asks kube-apiserver whose token it is; nobody's is the zero identity.
func (c *Callers) identify(ctx context.Context, from netip.Addr, key digest, raw string, audiences []string) (identity, error) {
	if cached, ok := c.identities.Get(key); ok {
		return cached.(identity), nil
	}
	var status authenticationv1.TokenReviewStatus
	err := c.call(ctx, limit.Network(from), true, func(ctx context.Context) error {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: raw, Audiences: audiences}}
		answer, err := c.reviews.Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("ask kube-apiserver who calls: %w", opaque{err})
		}
		status = answer.Status
		return nil
	})
	if err != nil {
		return identity{}, err
	}
	if !status.Authenticated {
		c.identities.Add(key, identity{}, cacheNo)
		return identity{}, nil
	}
	id := identity{status.User, status.Audiences}
	c.identities.Add(key, id, cacheYes)
	return id, nil
}

// permission is the key of an answer about a caller and a ResourceServer.
type permission struct {
	caller          digest
	namespace, name string
}

// MayReview asks kube-apiserver whether the caller may have tokens for the resource reviewed or introspected: the verb review on the
// ResourceServer. Nobody can be allowed by RBAC what concerns kube-apiserver's own, which is no object.
func (c *Callers) MayReview(ctx context.Context, who *Caller, r *registry.Resource) (bool, error) {
	if r.Kubernetes || r.Namespace == "" || r.Name == "" {
		return false, nil
	}
	key := permission{who.key, r.Namespace, r.Name}
	if cached, ok := c.permissions.Get(key); ok {
		return cached.(bool), nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.user.Username, UID: who.user.UID, Groups: who.user.Groups, Extra: authorizationExtra(who.user.Extra),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: reviewVerb, Group: reviewGroup, Version: "*", Resource: reviewResource, Namespace: r.Namespace, Name: r.Name,
		},
	}}
	allowed := false
	err := c.call(ctx, netip.Prefix{}, false, func(ctx context.Context) error {
		answer, err := c.access.Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("ask kube-apiserver what %s may do: %w", who.user.Username, opaque{err})
		}
		allowed = answer.Status.Allowed && !answer.Status.Denied
		return nil
	})
	if err != nil {
		return false, err
	}
	c.permissions.Add(key, allowed, lifetime(allowed))
	return allowed, nil
}

func lifetime(yes bool) time.Duration {
	if yes {
		return cacheYes
	}
	return cacheNo
}

func authorizationExtra(extra map[string]authenticationv1.ExtraValue) map[string]authorizationv1.ExtraValue {
	out := make(map[string]authorizationv1.ExtraValue, len(extra))
	for k, v := range extra {
		out[k] = authorizationv1.ExtraValue(v)
	}
	return out
}

// call runs f when its turn has come, for a bounded time. What is asked about a caller who has proven to be somebody is not counted by
// network.
func (c *Callers) call(ctx context.Context, network netip.Prefix, counted bool, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done, err := c.turns.Take(ctx, network, counted)
	if err != nil {
		return ErrBusy
	}
	defer done()
	return f(ctx)
}

// opaque hides what kind of error kube-apiserver gave: its Status is for us, not for who called us.
type opaque struct{ err error }

func (o opaque) Error() string { return o.err.Error() }
