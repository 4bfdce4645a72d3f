package review

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// no is the definite no. It has no error: with one, kube-apiserver would ask again for each request with a foreign token.
func no() authenticationv1.TokenReviewStatus { return authenticationv1.TokenReviewStatus{} }

// review decides. An error means that the answer is not known.
func (h *Handler) review(ctx context.Context, s *registry.Snapshot, c *caller, spec *authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
	if !c.apiServer && len(spec.Audiences) == 0 {
		return authenticationv1.TokenReviewStatus{Error: "spec.audiences is missing: name the identifier of the resource server"}, nil
	}
	// Tokens of others reach us by every request that no authenticator before took: they must cost nothing.
	candidate := h.Verifier.Seen.Candidate(spec.Token)
	iss, ok := s.ByURL(candidate.Issuer())
	if !ok {
		return no(), nil
	}
	if iss.Keys == nil {
		return no(), fmt.Errorf("issuer %s has no keys", iss.URL)
	}
	audiences, err := h.audiences(ctx, iss, c, spec.Audiences)
	if err != nil || len(audiences) == 0 {
		return no(), err
	}
	active, err := h.Verifier.ActiveCandidate(registry.In(ctx, iss), iss, candidate, audiences)
	if errors.Is(err, token.ErrInactive) {
		h.Logger.DebugContext(ctx, "a token is not active", "issuer", iss.URL, "audiences", audiences, "reason", err)
		return no(), nil
	}
	if err != nil {
		return no(), err
	}
	return h.answer(ctx, iss, active, audiences), nil
}

// audiences are those that count of the ones asked for: that are declared, and that the caller may review. kube-apiserver, which
// may review all, means its own by none.
func (h *Handler) audiences(ctx context.Context, iss *registry.Issuer, c *caller, asked []string) ([]string, error) {
	if c.apiServer && len(asked) == 0 {
		return iss.KubernetesAudiences, nil
	}
	var counted []string
	for _, audience := range asked {
		resource, ok := token.ResourceOf(iss, audience)
		if !ok || slices.Contains(counted, audience) {
			continue
		}
		if !c.apiServer {
			allowed, err := h.Callers.MayReview(ctx, c.account, resource)
			if err != nil {
				return nil, retriable(err)
			}
			if !allowed {
				h.Logger.InfoContext(ctx, "a caller may not review tokens for an audience", "caller", c.account.Username(), "audience", audience)
				continue
			}
		}
		counted = append(counted, audience)
	}
	return counted, nil
}

// answer is the success, or a no where nothing is left to say yes to.
func (h *Handler) answer(ctx context.Context, iss *registry.Issuer, a *token.Active, audiences []string) authenticationv1.TokenReviewStatus {
	audiences = a.Counting(iss, audiences)
	if len(audiences) == 0 {
		return no()
	}
	user, err := userInfo(iss, a, a.CountingScopes(iss, audiences))
	if err != nil {
		h.Logger.ErrorContext(ctx, "a good token is refused for the name it would have in Kubernetes", "issuer", iss.URL, "client_id", a.ClientID, "reason", err)
		return no()
	}
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: audiences}
}
