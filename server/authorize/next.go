package authorize

import (
	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
)

// action is what has to happen next to a request.
type action int

const (
	askToSignIn action = iota + 1
	askToConsent
	issueCode
)

// verdict is an action, and what is granted when it is issueCode.
type verdict struct {
	action  action
	granted *registry.Ask
}

// next decides what has to happen next to a valid request from a browser with the session, nil when nobody is signed in. It
// depends on nothing else. An error belongs in a redirect to the client.
func next(req *interaction.Request, s *session.Session) (verdict, *oauth.Error) {
	silent := req.Prompts(oauth.PromptNone)
	if s == nil || !recent(req, s) {
		if silent {
			return verdict{}, oauth.Errorf(oauth.LoginRequired, "the user has to sign in")
		}
		return verdict{action: askToSignIn}, nil
	}
	if req.Decision == interaction.Deny {
		return verdict{}, oauth.Errorf(oauth.AccessDenied, "the user denied the request")
	}
	permitted, err := req.Ask.PermittedTo(s.User)
	if err != nil {
		return verdict{}, err
	}
	// What the user allowed is what was shown: when that is not what may be granted by now, the user is asked again.
	if req.Decision == interaction.Allow && req.Shown == permitted.Digest(req.Client) {
		return verdict{action: issueCode, granted: permitted}, nil
	}
	if silent {
		return verdict{}, oauth.Errorf(oauth.ConsentRequired, "the user has to approve the request")
	}
	return verdict{action: askToConsent}, nil
}

// recent says whether the sign-in satisfies prompt and max_age (OpenID Connect Core section 3.1.2.1). Both are about when
// the request was first seen, or a slow reader of the consent page would be asked to sign in for ever.
func recent(req *interaction.Request, s *session.Session) bool {
	if req.Prompts(oauth.PromptLogin) || req.Prompts(oauth.PromptSelectAccount) {
		return !s.AuthTime.Before(req.Seen)
	}
	return req.MaxAge == nil || req.Seen.Sub(s.AuthTime) <= *req.MaxAge
}
