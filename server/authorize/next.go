package authorize

import (
	"time"

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
	// consent is how the user approved it.
	consent consent
	// keepUntil is until when it has to be remembered at least; zero when grants that there are see to that.
	keepUntil time.Time
}

// asBefore says whether a code is issued for what grants that there are hold, and will hold for as long as it has to be remembered.
func (v verdict) asBefore() bool {
	return v.action == issueCode && v.consent == remembered && v.keepUntil.IsZero()
}

// consent is how a user approved what is granted.
type consent string

const (
	explicit   consent = "explicit"   // just now
	remembered consent = "remembered" // before
)

// memory is what the user approved before, when that could be read.
type memory struct {
	*interaction.Memory
	unknown bool
}

// next decides what has to happen next to a valid request. It depends on nothing but its arguments. An error belongs in a
// redirect to the client.
func next(v *interaction.Visit, m memory) (verdict, *oauth.Error) {
	s, silent := v.Browser.Session, v.Prompts(oauth.PromptNone)
	if err := signInRequired(v); err != nil {
		if silent || s != nil && !s.AuthTime.Before(v.Seen) { // who was asked to sign in, and did, is not asked for ever
			return verdict{}, err
		}
		return verdict{action: askToSignIn}, nil
	}
	if v.Decision == interaction.Deny {
		return verdict{}, oauth.Errorf(oauth.AccessDenied, "the user denied the request")
	}
	permitted, err := v.Ask.PermittedTo(s.User)
	if err != nil {
		return verdict{}, err
	}
	proposal := m.Propose(v.Client, permitted)
	switch {
	case v.Decision == interaction.Allow && isWhatWasShown(v.Request, proposal, permitted):
		return verdict{action: issueCode, granted: permitted, consent: explicit, keepUntil: s.ExpiresAt}, nil
	case proposal.Nothing() && !v.Prompts(oauth.PromptConsent):
		return verdict{action: issueCode, granted: permitted, consent: remembered, keepUntil: keepUntil(v, m, permitted)}, nil
	case silent && m.unknown:
		return verdict{}, oauth.Errorf(oauth.TemporarilyUnavailable, "what the user approved before can't be read at this moment; try again")
	case silent:
		return verdict{}, oauth.Errorf(oauth.ConsentRequired, "the user has to approve the request")
	}
	return verdict{action: askToConsent}, nil
}

// signInRequired says why somebody has to sign in: nobody is, or not recently enough, or not the user whom the request is
// about.
func signInRequired(v *interaction.Visit) *oauth.Error {
	switch s := v.Browser.Session; {
	case s == nil || !recent(v.Request, s):
		return oauth.Errorf(oauth.LoginRequired, "the user has to sign in")
	case !v.Means(v.Issuer, s.User):
		return oauth.Errorf(oauth.LoginRequired, "another user is signed in than the one whom the request names")
	}
	return nil
}

// recent says whether the sign-in satisfies prompt and max_age (OpenID Connect Core section 3.1.2.1). Both are about when
// the request was first seen, or a slow reader of the consent page would be asked to sign in for ever.
func recent(req *interaction.Request, s *session.Session) bool {
	if req.Prompts(oauth.PromptLogin) || req.Prompts(oauth.PromptSelectAccount) {
		return !s.AuthTime.Before(req.Seen)
	}
	return req.MaxAge == nil || req.Seen.Sub(s.AuthTime) <= *req.MaxAge
}

// isWhatWasShown: what the user allowed is what was on the page. When that is not what may be granted by now, or what was said
// to be allowed already is not any more, the user is asked again; not so when the page took nothing for granted.
func isWhatWasShown(req *interaction.Request, proposal interaction.Proposal, permitted *registry.Ask) bool {
	var nothing *interaction.Memory
	return req.Shown == proposal.Digest(req.Client) || req.Shown == nothing.Propose(req.Client, permitted).Digest(req.Client)
}

// keepUntil is the end of the session, unless grants of this very session remember everything until then: signing out has
// to find the client, and the user is asked once a session.
func keepUntil(v *interaction.Visit, m memory, granted *registry.Ask) time.Time {
	s := v.Browser.Session
	if m.Lasts(v.Client, granted, s.ID, s.ExpiresAt) {
		return time.Time{}
	}
	return s.ExpiresAt
}
