// Package interaction holds an authorization request while a browser takes it from page to page: parsed, identified and
// validated by the same code at each step, against the world as it is then, and sealed in the URL between the steps. Each
// seal is good for one step and one browser. Nothing is kept in the server.
package interaction

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Request is an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1) whose client and
// redirect URI are known to belong together.
type Request struct {
	Client *registry.Client
	// RedirectURI as requested; it is registered for the client.
	RedirectURI string
	// State is what the client wants back, empty when it sent none.
	State string
	// FormPost: the client wants its answer posted by a form (OAuth 2.0 Form Post Response Mode) rather than in a query string.
	FormPost bool
	// Seen is when the request was first seen: `prompt` and `max_age` are about what was before it.
	Seen time.Time

	// Challenge, Nonce, Ask, Subject, Prompt and MaxAge are set by Validate.

	// Challenge is the S256 code challenge (RFC 7636 section 4.2), empty where the client may do without and does.
	Challenge string
	// Nonce is for the ID token, empty when the client sent none.
	Nonce string
	// Ask is what the client asks for.
	Ask *registry.Ask
	// Subject is the `sub` of the user whom the request is about (id_token_hint, or `sub` in claims); empty for anybody.
	Subject string
	// Prompt are the prompt values.
	Prompt []string
	// MaxAge is how old a sign-in may be, nil for any age.
	MaxAge *time.Duration

	// Shown and Decision travel in seals alone: the digest of what a user was shown, and what the user made of it.
	Shown    string
	Decision Decision

	issuer *registry.Issuer
	params url.Values
}

// Decision is the user's answer to the consent page.
type Decision string

// The decisions; empty when the user was not asked yet.
const (
	Allow Decision = "allow"
	Deny  Decision = "deny"
)

// maxQueryLength bounds an authorization request, in bytes: sealed it must fit in maxURLLength.
const maxQueryLength = 4096

// Parse reads the parameters of a new authorization request, from the query string or the form body (OpenID Connect Core
// section 3.1.2.1). What is ambiguous or too long is refused without a redirect: nothing in it can be relied on.
func Parse(r *http.Request) (url.Values, error) {
	var (
		params url.Values
		err    error
	)
	if r.Method == http.MethodPost {
		params, err = oauth.ParseForm(r)
	} else {
		params, err = parseQuery(r.URL.RawQuery)
	}
	if err != nil {
		return nil, err
	}
	if mayBeTooLong(params) && len(params.Encode()) > maxQueryLength {
		return nil, errTooLong()
	}
	return params, nil
}

// mayBeTooLong says whether it has to be seen how long the parameters are as a query string, in which a byte takes three at most.
func mayBeTooLong(params url.Values) bool {
	length := 0
	for name, values := range params {
		for _, v := range values {
			length += 3*(len(name)+len(v)) + len("=&")
		}
	}
	return length > maxQueryLength
}

func parseQuery(raw string) (url.Values, error) {
	if len(raw) > 2*maxQueryLength { // encodings differ in length; the exact bound is Parse's
		return nil, errTooLong()
	}
	return oauth.ParseQuery(raw)
}

func errTooLong() error {
	return oauth.Errorf(oauth.InvalidRequest, "the authorization request is longer than %d bytes", maxQueryLength)
}

// Identify finds the client and checks that the redirect URI is one of its own, by exact comparison (RFC 9700 section 2.1).
// An error must be shown to the user and never redirected: whoever made the request may not be the client.
func Identify(iss *registry.Issuer, params url.Values, seen time.Time) (*Request, error) {
	id, redirect := params.Get("client_id"), params.Get("redirect_uri")
	if id == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "client_id is missing")
	}
	client, ok := iss.Client(id)
	if !ok {
		return nil, oauth.Errorf(oauth.InvalidRequest, "there is no client with this client_id")
	}
	if redirect == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "redirect_uri is missing")
	}
	if !client.Registered(redirect) {
		return nil, oauth.Errorf(oauth.InvalidRequest, "redirect_uri is not registered for the client, character by character")
	}
	r := &Request{Client: client, RedirectURI: redirect, Seen: seen, issuer: iss, params: params}
	r.readResponse()
	return r, nil
}

// RestartURL begins the request anew. It is no more than the link that the client sent the browser to.
func (r *Request) RestartURL(iss *registry.Issuer) string {
	return restartURL(iss, r.params)
}

// SwitchUserURL begins the request anew with the wish to sign in as somebody else.
func (r *Request) SwitchUserURL(iss *registry.Issuer) string {
	params := url.Values{}
	for name, values := range r.params {
		params[name] = values
	}
	params.Set("prompt", oauth.PromptSelectAccount)
	return restartURL(iss, params)
}

func restartURL(iss *registry.Issuer, params url.Values) string {
	return iss.Endpoint("/authorize") + "?" + params.Encode()
}

// LoginHint is who the client thinks will sign in (OpenID Connect Core section 3.1.2.1): anybody's word, for prefilling
// only.
func (r *Request) LoginHint() string { return r.params.Get("login_hint") }

// Prompts says whether the prompt value was given.
func (r *Request) Prompts(value string) bool { return slices.Contains(r.Prompt, value) }
