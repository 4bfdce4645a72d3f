package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// maxActors bounds how often a token is handed on: how many APIs call one another on behalf of one user.
const maxActors = 4

// subject is on whose behalf a token is asked for by exchange, and how much may be handed on.
type subject struct {
	// basis is what the new token takes over: grant, user, who handed it on, until when.
	basis
	// may says which scopes may be had on behalf of the subject. Which of them the client may ask for is another question.
	may func(*registry.Resource, *registry.Scope) bool
}

// tokenExchange gives an API, which is a client too, a token for another API on behalf of whoever called it (RFC 8693): with an access
// token of the issuer, or as a ServiceAccount with a token of its own. There are three who have a say: the owner of the API whose token is shown names the clients that may exchange its tokens, so that whoever found a token
// can't; the owner of the other API says by its access rules what that client may ask for; and a scope that requires a group is for its
// members. The new token lives by all that the one shown lives by, and no longer. Nothing is written.
func (h *Handler) tokenExchange(ctx context.Context, req *request) (*response, error) {
	if req.client.Public {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "a public client could be anybody who holds the token")
	}
	s, err := h.subject(ctx, req)
	if err != nil {
		return nil, err
	}
	if s.granted, err = s.ask(req); err != nil {
		return nil, err
	}
	s.target = &s.granted.Targets[0]
	i := newIssue(req, &s.basis)
	if err := i.check(); err != nil {
		return nil, err
	}
	answer, err := i.mint()
	if err != nil {
		return nil, err
	}
	answer.issuedTokenType = oauth.TokenTypeAccessToken
	return answer, nil
}

// subject reads the parameters of RFC 8693 section 2.1 that say on whose behalf which kind of token is asked for.
func (h *Handler) subject(ctx context.Context, req *request) (*subject, error) {
	requested, raw := req.form.Get("requested_token_type"), req.form.Get("subject_token")
	switch {
	case requested != "" && requested != oauth.TokenTypeAccessToken:
		return nil, oauth.Errorf(oauth.InvalidRequest, "requested_token_type: only access tokens are issued, %s", oauth.TokenTypeAccessToken)
	case req.form.Has("actor_token") || req.form.Has("actor_token_type"):
		return nil, oauth.Errorf(oauth.InvalidRequest, "actor_token is not supported: the client that authenticates is the actor")
	case raw == "":
		return nil, oauth.Errorf(oauth.InvalidRequest, "subject_token is missing")
	}
	switch req.form.Get("subject_token_type") {
	case oauth.TokenTypeAccessToken:
		return h.subjectAccessToken(ctx, req, raw)
	case oauth.TokenTypeJWT:
		return h.subjectWorkload(ctx, req, raw)
	case "":
		return nil, oauth.Errorf(oauth.InvalidRequest, "subject_token_type is missing")
	default:
		return nil, oauth.Errorf(oauth.InvalidRequest, "subject_token_type: access tokens of this issuer are taken, %s, and tokens of ServiceAccounts, %s", oauth.TokenTypeAccessToken, oauth.TokenTypeJWT)
	}
}

// errSubjectToken is told for all that is wrong with a subject token (RFC 8693 section 2.2.2): what exactly is nobody's business.
func errSubjectToken(err error) *oauth.Error {
	return oauth.Errorf(oauth.InvalidRequest, "the subject token is not valid, or not one that the client may exchange").Wrap(err)
}

// errSubjectUnknown is told when it can't be said whether a subject token is good.
func errSubjectUnknown(err error) *oauth.Error {
	return oauth.Errorf(oauth.TemporarilyUnavailable, "the subject token could not be checked; try again").Wrap(err)
}

// subjectAccessToken reads an access token of the issuer, for an API that names the client.
func (h *Handler) subjectAccessToken(ctx context.Context, req *request, raw string) (*subject, error) {
	audiences := presentable(req, raw)
	if len(audiences) == 0 {
		return nil, errSubjectToken(errors.New("no audience of it lets the client exchange its tokens"))
	}
	v := &token.Verifier{Grants: h.Grants, SignOuts: h.SignOuts, Now: func() time.Time { return req.now }}
	a, err := v.Active(ctx, req.iss, raw, audiences)
	switch {
	case errors.Is(err, token.ErrInactive):
		return nil, errSubjectToken(err)
	case err != nil:
		return nil, errSubjectUnknown(err)
	}
	req.audit = append(req.audit, slog.String("subject_client_id", a.ClientID), slog.String("subject_jti", a.ID))
	s := &subject{
		basis: basis{
			grantID: a.GrantID, user: a.User, authTime: a.AuthTime, notAfter: a.ExpiresAt,
			via: append(slices.Clone(a.Via), a.Shown()), workload: a.Workload,
		},
	}
	s.may = func(r *registry.Resource, scope *registry.Scope) bool {
		widens := slices.ContainsFunc(s.via, func(shown token.Shown) bool { return shown.Widens(r.Identifier, scope.Name) })
		return !widens && mayHandOn(req.iss, a, r, scope)
	}
	if a.User != nil {
		req.audit = append(req.audit, slog.String("grant", a.GrantID), slog.String("user", a.User.Name))
	}
	if a.Workload != nil {
		req.audit = append(req.audit, auditWorkload(a.Workload))
	}
	switch {
	case len(a.Counting(req.iss, audiences)) == 0:
		return nil, errSubjectToken(errors.New("its client may not ask for tokens for the audience any more"))
	case len(a.Actors()) >= maxActors:
		return nil, errSubjectToken(fmt.Errorf("it was handed on %d times already", maxActors))
	}
	return s, nil
}

// presentable are those of the audiences that the token claims whose owner lets the client exchange tokens.
func presentable(req *request, raw string) []string {
	return slices.DeleteFunc(token.PeekAudience(raw), func(audience string) bool {
		resource, ok := token.ResourceOf(req.iss, audience)
		return !ok || !slices.Contains(resource.Exchangers, req.client.ID)
	})
}

// mayHandOn says whether a token with the scope may be had for the one that is shown. At a resource that it is for already, it never has
// a scope that does not count there any more. To act as a user at kube-apiserver is what that very user must have approved.
func mayHandOn(iss *registry.Issuer, a *token.Active, r *registry.Resource, scope *registry.Scope) bool {
	at := []string{r.Identifier}
	if slices.Contains(a.Audience, r.Identifier) && !slices.Contains(a.CountingScopes(iss, at), scope.Name) {
		return false
	}
	if a.Workload != nil {
		return mayHaveFor(a.Workload, r, scope)
	}
	if a.User == nil {
		return !r.Kubernetes && len(scope.RequiredGroups) == 0
	}
	return scope.PermittedTo(a.User) && (!r.Kubernetes || granted(a, r.Identifier, scope.Name))
}

// granted says whether the user has approved the scope at the resource.
func granted(a *token.Active, identifier, scope string) bool {
	for _, t := range a.Grant.Targets {
		if t.Resource == identifier && slices.Contains(t.Scopes, scope) {
			return true
		}
	}
	return false
}

// ask is what the client may have on behalf of the subject, of what it asks for: at the one API that resource or audience names (RFC
// 8693 section 2.1), by its identifier, or that the scopes belong to.
func (s *subject) ask(req *request) (*registry.Ask, error) {
	scope := req.form.Get("scope")
	if !oauth.WellFormedScope(scope) {
		return nil, oauth.Errorf(oauth.InvalidScope, "scope is not well-formed")
	}
	named := slices.Concat(req.form["resource"], req.form["audience"])
	slices.Sort(named)
	if named = slices.Compact(named); len(named) > 1 {
		return nil, oauth.Errorf(oauth.InvalidTarget, "a token is for one resource: name one")
	}
	for _, identifier := range named { // said first, whatever the scopes are (RFC 8693 section 2.2.2)
		if _, ok := req.client.AccessTo(identifier); !ok {
			return nil, oauth.Errorf(oauth.InvalidTarget, "the client may not ask for tokens for the resource")
		}
	}
	ask, err := registry.ResolveOne(req.client, oauth.SplitScope(scope), named, s.may)
	if err != nil {
		return nil, err
	}
	return ask, nil
}
