package interaction

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// maxNonceLength bounds, in bytes, what travels in the code and the ID token.
	maxNonceLength = 512
	// maxStateLength bounds, in bytes, what is sent back in a URL.
	maxStateLength = 2048
	// maxScopeLength bounds the scope parameter, in bytes, and maxScopes how many it names.
	maxScopeLength = 4096
	maxScopes      = 64
)

// check is one thing that must hold of a request whose client and redirect URI are known.
type check struct {
	name string
	run  func(*Request) *oauth.Error
}

// checks are in the order in which a client is told of its mistakes. Parameters that no check names (display, ui_locales,
// claims_locales, acr_values, login_hint and all that nobody knows) are no reason to refuse a request, as OpenID Connect Core
// section 3.1.2.1 has it.
func checks() []check {
	return []check{
		{"request object", (*Request).checkRequestObject},
		{"response type", (*Request).checkResponseType},
		{"response mode", (*Request).checkResponseMode},
		{"grant type", (*Request).checkGrantType},
		{"proof key", (*Request).checkProofKey},
		{"state and nonce", (*Request).checkStateAndNonce},
		{"scope and resource", (*Request).checkAsk},
		{"claims", (*Request).checkClaims},
		{"id_token_hint", (*Request).checkHint},
		{"prompt", (*Request).checkPrompt},
		{"max_age", (*Request).checkMaxAge},
	}
}

// Validate runs the checks in their order. An error belongs in a redirect to the client.
func (r *Request) Validate() *oauth.Error {
	r.Subject = ""
	for _, c := range checks() {
		if err := c.run(r); err != nil {
			return err.Wrap(fmt.Errorf("check %s", c.name))
		}
	}
	return nil
}

func (r *Request) checkRequestObject() *oauth.Error {
	if r.params.Has("request") {
		return oauth.Errorf(oauth.RequestNotSupported, "request objects are not supported: send the parameters themselves")
	}
	if r.params.Has("request_uri") {
		return oauth.Errorf(oauth.RequestURINotSupported, "request_uri is not supported: send the parameters themselves")
	}
	if r.params.Has("registration") {
		return oauth.Errorf(oauth.RegistrationNotSupported, "registration is not supported: clients are declared")
	}
	return nil
}

func (r *Request) checkResponseType() *oauth.Error {
	switch r.params.Get("response_type") {
	case oauth.ResponseTypeCode:
		return nil
	case "":
		return oauth.Errorf(oauth.InvalidRequest, "response_type is missing: use code")
	}
	return oauth.Errorf(oauth.UnsupportedResponseType, "response_type must be code")
}

func (r *Request) checkGrantType() *oauth.Error {
	if !slices.Contains(r.Client.GrantTypes, oauth.GrantAuthorizationCode) {
		return oauth.Errorf(oauth.UnauthorizedClient, "the client does not declare the grant type authorization_code")
	}
	return nil
}

// checkProofKey wants PKCE of every client (RFC 9700 section 2.1.1) but confidential ones that are declared to do without, with
// S256: `plain`, which a missing method means (RFC 7636 section 4.3), protects from nobody who can read the request.
func (r *Request) checkProofKey() *oauth.Error {
	challenge := r.params.Get("code_challenge")
	r.Challenge = ""
	switch {
	case r.Client.ProofKeyOptional && !r.Client.Public && challenge == "" && !r.params.Has("code_challenge_method"):
		return nil
	case challenge == "":
		return oauth.Errorf(oauth.InvalidRequest, "code_challenge is missing: PKCE is required")
	case r.params.Get("code_challenge_method") != oauth.ChallengeMethodS256:
		return oauth.Errorf(oauth.InvalidRequest, "code_challenge_method must be S256")
	case !oauth.WellFormedPKCE(challenge):
		return oauth.Errorf(oauth.InvalidRequest, "code_challenge is not well-formed: it has 43 to 128 characters (RFC 7636 section 4.2)")
	}
	r.Challenge = challenge
	return nil
}

func (r *Request) checkStateAndNonce() *oauth.Error {
	nonce := r.params.Get("nonce")
	switch {
	case len(r.State) > maxStateLength:
		return oauth.Errorf(oauth.InvalidRequest, "state is longer than %d bytes", maxStateLength)
	case len(nonce) > maxNonceLength:
		return oauth.Errorf(oauth.InvalidRequest, "nonce is longer than %d bytes", maxNonceLength)
	case !utf8.ValidString(nonce):
		return oauth.Errorf(oauth.InvalidRequest, "nonce is not UTF-8")
	}
	r.Nonce = nonce
	return nil
}

func (r *Request) checkAsk() *oauth.Error {
	scope := r.params.Get("scope")
	if len(scope) > maxScopeLength || strings.ContainsFunc(scope, notInScope) {
		return oauth.Errorf(oauth.InvalidScope, "scope is not well-formed")
	}
	scopes := oauth.SplitScope(scope)
	if len(scopes) > maxScopes {
		return oauth.Errorf(oauth.InvalidScope, "scope names more than %d scopes", maxScopes)
	}
	resources := r.params["resource"]
	for _, resource := range resources {
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || strings.Contains(resource, "#") {
			return oauth.Errorf(oauth.InvalidTarget, "resource must be an absolute URI without a fragment")
		}
	}
	var err *oauth.Error
	r.Ask, err = registry.Resolve(r.Client, scopes, resources)
	return err
}

// notInScope finds what the scope parameter must not hold (RFC 6749 section 3.3).
func notInScope(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }

func (r *Request) checkPrompt() *oauth.Error {
	r.Prompt = oauth.SplitScope(r.params.Get("prompt"))
	for _, p := range r.Prompt {
		switch p {
		case oauth.PromptNone, oauth.PromptLogin, oauth.PromptConsent, oauth.PromptSelectAccount:
		default:
			return oauth.Errorf(oauth.InvalidRequest, "prompt holds an unknown value: use none, login, consent or select_account")
		}
	}
	if len(r.Prompt) > 1 && r.Prompts(oauth.PromptNone) {
		return oauth.Errorf(oauth.InvalidRequest, "prompt=none can't be combined with another value")
	}
	return nil
}

func (r *Request) checkMaxAge() *oauth.Error {
	r.MaxAge = nil
	if !r.params.Has("max_age") {
		return nil
	}
	seconds, err := strconv.ParseUint(r.params.Get("max_age"), 10, 31)
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "max_age must be a number of seconds")
	}
	age := time.Duration(seconds) * time.Second
	r.MaxAge = &age
	return nil
}
