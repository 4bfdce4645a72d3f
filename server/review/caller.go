package review

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/latchkey-io/latchkey/server/oauth"
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
	// maxCalls bounds the questions to kube-apiserver at one time: anybody who reaches the listener can cause one.
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

// caller is who asks.
type caller struct {
	// apiServer is true for kube-apiserver, known by its client certificate.
	apiServer bool
	// user and key, a digest of its token, are a ServiceAccount's.
	user authenticationv1.UserInfo
	key  [sha256.Size]byte
}

// Callers proves who a ServiceAccount is, and what it may review, by asking kube-apiserver. Answers are kept for seconds.
type Callers struct {
	reviews     authenticationclient.TokenReviewInterface
	access      authorizationclient.SubjectAccessReviewInterface
	identities  *cache.LRUExpireCache
	permissions *cache.LRUExpireCache
	slots       chan struct{}
}

// NewCallers makes Callers that ask with the two clients. Their rest.Config should not have client-go's default limit of 5
// requests a second.
func NewCallers(reviews authenticationclient.TokenReviewInterface, access authorizationclient.SubjectAccessReviewInterface, now func() time.Time) *Callers {
	return &Callers{
		reviews: reviews, access: access,
		identities:  cache.NewLRUExpireCacheWithClock(cacheSize, clock(now)),
		permissions: cache.NewLRUExpireCacheWithClock(cacheSize, clock(now)),
		slots:       make(chan struct{}, maxCalls),
	}
}

type clock func() time.Time

func (c clock) Now() time.Time { return c() }

// caller finds out who asks.
func (h *Handler) caller(r *http.Request, s *registry.Snapshot) (*caller, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return &caller{apiServer: true}, nil
	}
	raw, ok := bearer(r.Header)
	if !ok || h.Callers == nil {
		return nil, unauthorized("a client certificate, or a ServiceAccount token whose audience is the issuer, is needed")
	}
	return h.Callers.authenticate(r.Context(), s, raw)
}

func unauthorized(message string) error { return apierrors.NewUnauthorized(message) }

// bearer is the token of the one Authorization header.
func bearer(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	return oauth.BearerToken(values[0])
}

// identity is what kube-apiserver said of a token.
type identity struct {
	user      authenticationv1.UserInfo
	audiences []string
}

// authenticate proves a ServiceAccount. Its token must be for one of the issuers: a token that a pod has for kube-apiserver, or for
// another service, is not to be sent here.
func (c *Callers) authenticate(ctx context.Context, s *registry.Snapshot, raw string) (*caller, error) {
	refused := unauthorized("the bearer token is not a ServiceAccount token whose audience is the issuer")
	issuer, ok := token.PeekIssuer(raw)
	if !ok { // every ServiceAccount token is a JWT
		return nil, refused
	}
	if _, ours := s.ByURL(issuer); ours { // kube-apiserver would ask us
		return nil, refused
	}
	var issuers []string
	for _, i := range s.Issuers() {
		issuers = append(issuers, i.URL)
	}
	if len(issuers) == 0 { // kube-apiserver would take none for its own
		return nil, refused
	}
	key := sha256.Sum256([]byte(raw))
	id, err := c.identify(ctx, key, raw, issuers)
	if err != nil {
		return nil, err
	}
	forUs := slices.ContainsFunc(id.audiences, func(a string) bool { return slices.Contains(issuers, a) })
	if !forUs || !strings.HasPrefix(id.user.Username, serviceAccountPrefix) {
		return nil, refused
	}
	return &caller{user: id.user, key: key}, nil
}

// identify asks kube-apiserver whose token it is; nobody's is the zero identity.
func (c *Callers) identify(ctx context.Context, key [sha256.Size]byte, raw string, issuers []string) (identity, error) {
	if cached, ok := c.identities.Get(key); ok {
		return cached.(identity), nil
	}
	var status authenticationv1.TokenReviewStatus
	err := c.call(ctx, func(ctx context.Context) error {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: raw, Audiences: issuers}}
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
	caller          [sha256.Size]byte
	namespace, name string
}

// mayReview asks kube-apiserver whether the caller may review tokens for the resource. Nobody is allowed by RBAC to review those
// for kube-apiserver, which is no object.
func (c *Callers) mayReview(ctx context.Context, who *caller, r *registry.Resource) (bool, error) {
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
	err := c.call(ctx, func(ctx context.Context) error {
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

// call runs f when its turn has come, for a bounded time.
func (c *Callers) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return f(ctx)
	case <-ctx.Done():
		return apierrors.NewTooManyRequests("too many callers at once", 1)
	}
}

// opaque hides what kind of error kube-apiserver gave: its Status is for us, not for who called us.
type opaque struct{ err error }

func (o opaque) Error() string { return o.err.Error() }
