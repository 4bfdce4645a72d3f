// Package oauth holds the words of OAuth 2.x and OpenID Connect as they stand on the wire, the one error type of the
// server, and the writers of responses. It imports the standard library only.
package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is an OAuth error code (RFC 6749 sections 4.1.2.1 and 5.2, and the registry they opened).
type Code string

// The error codes in use.
const (
	InvalidRequest           Code = "invalid_request"            // RFC 6749 section 4.1.2.1
	InvalidClient            Code = "invalid_client"             // RFC 6749 section 5.2
	InvalidGrant             Code = "invalid_grant"              // RFC 6749 section 5.2
	UnauthorizedClient       Code = "unauthorized_client"        // RFC 6749 section 4.1.2.1
	UnsupportedGrantType     Code = "unsupported_grant_type"     // RFC 6749 section 5.2
	UnsupportedResponseType  Code = "unsupported_response_type"  // RFC 6749 section 4.1.2.1
	InvalidScope             Code = "invalid_scope"              // RFC 6749 section 4.1.2.1
	AccessDenied             Code = "access_denied"              // RFC 6749 section 4.1.2.1
	ServerError              Code = "server_error"               // RFC 6749 section 4.1.2.1
	TemporarilyUnavailable   Code = "temporarily_unavailable"    // RFC 6749 section 4.1.2.1
	InvalidTarget            Code = "invalid_target"             // RFC 8707 section 2
	InvalidToken             Code = "invalid_token"              // RFC 6750 section 3.1
	InsufficientScope        Code = "insufficient_scope"         // RFC 6750 section 3.1
	LoginRequired            Code = "login_required"             // OpenID Connect Core section 3.1.2.6
	ConsentRequired          Code = "consent_required"           // OpenID Connect Core section 3.1.2.6
	RequestNotSupported      Code = "request_not_supported"      // OpenID Connect Core section 3.1.2.6
	RequestURINotSupported   Code = "request_uri_not_supported"  // OpenID Connect Core section 3.1.2.6
	RegistrationNotSupported Code = "registration_not_supported" // OpenID Connect Core section 3.1.2.6
	AuthorizationPending     Code = "authorization_pending"      // RFC 8628 section 3.5
	SlowDown                 Code = "slow_down"                  // RFC 8628 section 3.5
	ExpiredToken             Code = "expired_token"              // RFC 8628 section 3.5
	UnsupportedTokenType     Code = "unsupported_token_type"     // RFC 7009 section 2.2.1
	// UnmetAuthenticationRequirements: an essential acr can't be had (OpenID Connect Core Unmet Authentication Requirements).
	UnmetAuthenticationRequirements Code = "unmet_authentication_requirements"

	// The following never leave in a redirect or a JSON body of an OAuth endpoint; they name the failures of pages and of
	// HTTP itself.

	Forbidden        Code = "forbidden"          // a form that does not come from the browser and step it was made for
	NotFound         Code = "not_found"          // no such page
	MethodNotAllowed Code = "method_not_allowed" // RFC 9110 section 15.5.6
	TooLarge         Code = "request_too_large"  // RFC 9110 section 15.5.14
	TooManyRequests  Code = "too_many_requests"  // RFC 6585 section 4; temporarily_unavailable in a body
)

// statuses is the one table from an error to its HTTP status, for answers that are not redirects.
var statuses = map[Code]int{
	InvalidClient:          http.StatusUnauthorized,
	InvalidToken:           http.StatusUnauthorized,
	InsufficientScope:      http.StatusForbidden,
	Forbidden:              http.StatusForbidden,
	NotFound:               http.StatusNotFound,
	MethodNotAllowed:       http.StatusMethodNotAllowed,
	TooLarge:               http.StatusRequestEntityTooLarge,
	ServerError:            http.StatusInternalServerError,
	TemporarilyUnavailable: http.StatusServiceUnavailable,
	TooManyRequests:        http.StatusTooManyRequests,
}

// Status is the HTTP status for the code: 400 unless the table says otherwise.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusBadRequest
}

// inBody is the code as JSON bodies of OAuth endpoints have it: OAuth has no word for HTTP's 429.
func (c Code) inBody() Code {
	if c == TooManyRequests {
		return TemporarilyUnavailable
	}
	return c
}

// Error is the only error that clients and users are told of. Description is sent to them: it says what to do, in
// printable ASCII without quotes or backslashes (RFC 6749 section 5.2). RetryAfter is when to come back, where that is known. Err is for
// the log alone.
type Error struct {
	Code        Code
	Description string
	RetryAfter  time.Duration
	Err         error
}

// Errorf makes an Error whose description is sent to the caller: never put a secret, a token or an internal error in it.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// Wait is the Error of a limit that is used up, told with Retry-After.
func Wait(retryAfter time.Duration) *Error {
	e := Errorf(TooManyRequests, "there were too many requests; try again later")
	e.RetryAfter = retryAfter
	return e
}

// Wrap adds a cause that is only logged.
func (e *Error) Wrap(err error) *Error {
	return &Error{Code: e.Code, Description: e.Description, RetryAfter: e.RetryAfter, Err: err}
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Description != "" {
		s += ": " + e.Description
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// AsError finds the Error in err's chain; any other error becomes server_error with nothing told of it.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: ServerError, Err: err}
}
