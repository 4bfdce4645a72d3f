// Package flows does authorization code flows with PKCE as fast as one can, for the load benchmark: each is a request for a code by a
// browser that is signed in, and the request that redeems it. It knows the client's side of it, and the least that a server can do.
package flows

import (
	"encoding/base64"
	"net/url"
)

// Site is an authorization server, and a client of it.
type Site struct {
	// Address is where it listens, as host:port; Host is what requests call it.
	Address, Host string
	// Authorize and Token are the paths of the two endpoints.
	Authorize, Token string
	// ClientID and ClientSecret are the client's, which authenticates by HTTP Basic, and RedirectURI one of its own.
	ClientID, ClientSecret, RedirectURI string
	// Scope is what is asked for, openid included, and Resource at which API; empty for none.
	Scope, Resource string
}

// The proof key of all flows is that of RFC 7636 appendix B: what it costs a server does not depend on it.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// query is the authorization request.
func (s *Site) query() string {
	v := url.Values{
		"response_type": {"code"}, "client_id": {s.ClientID}, "redirect_uri": {s.RedirectURI}, "scope": {s.Scope},
		"state": {"af0ifjsldkj-1"}, "nonce": {"n-0S6_WzA2Mj-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	if s.Resource != "" {
		v.Set("resource", s.Resource)
	}
	return v.Encode()
}

// redemption is the form of the token request, up to the code.
func (s *Site) redemption() string {
	v := url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {s.RedirectURI}, "code_verifier": {verifier}}
	return v.Encode() + "&code="
}

// basic is the Authorization header (RFC 6749 section 2.3.1).
func (s *Site) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(s.ClientID)+":"+url.QueryEscape(s.ClientSecret)))
}
