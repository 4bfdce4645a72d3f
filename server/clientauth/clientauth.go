// Package clientauth says which client is calling, proven by the credential that the client was declared with (RFC 6749
// section 2.3, RFC 7521 section 4.2, OpenID Connect Core section 9).
package clientauth

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// Config is what an Authenticator needs.
type Config struct {
	// Outbound fetches the keys of clients that keep them at a URL; none can be fetched when nil.
	Outbound *http.Client
	// ServiceAccounts proves the clients that are ServiceAccounts; none is when nil.
	ServiceAccounts ServiceAccounts
	// SecretUses is told of client secrets that are used; nobody is when nil.
	SecretUses SecretUses
	// Limits bound how often a client may call; there is no bound when nil.
	Limits *limit.Requests
	// Source says where a request comes from. It may be nil without Limits and ServiceAccounts.
	Source func(*http.Request) netip.Addr
}

// SecretUses notes which client secrets are used.
type SecretUses interface {
	// Used is told that a client has proven itself with the secret of that id. It must not keep the request waiting.
	Used(client *registry.Client, secretID string, now time.Time)
}

// ServiceAccounts knows the ServiceAccounts of the cluster.
type ServiceAccounts interface {
	// ServiceAccount says whose a token is that somebody at an address has shown, by namespace and name, if it is a ServiceAccount's and
	// good for the audience. Both are empty for a definite no; an error means that the answer is not known.
	ServiceAccount(ctx context.Context, from netip.Addr, audience, raw string) (namespace, name string, err error)
}

// Authenticator authenticates clients. All endpoints of a server share one, for it remembers which assertions it has seen, and
// keys that it fetched.
type Authenticator struct {
	keySets  *keySets
	seen     *assertionIDs
	accounts ServiceAccounts
	uses     SecretUses
	limits   *limit.Requests
	source   func(*http.Request) netip.Addr
	// digest is the ClientDigest of a set of keys, but for tests that count how often it is computed.
	digest clientDigest
}

// New makes an Authenticator.
func New(c Config) *Authenticator {
	return &Authenticator{keySets: newKeySets(c.Outbound), seen: newAssertionIDs(maxSeen, maxSeenOfNamespace, maxSeenOfClient), accounts: c.ServiceAccounts, uses: c.SecretUses, limits: c.Limits, source: c.Source, digest: (*keys.Set).ClientDigest}
}

// Caller is a client that has proven itself.
type Caller struct {
	Client *registry.Client
	// Method is how: one of the oauth.AuthMethod constants.
	Method string
	// ServiceAccount is which one the client is at the moment, by name in its namespace; empty for every other method.
	ServiceAccount string
}

// credentials are what a request shows of its client, by one method.
type credentials struct {
	method   string
	clientID string
	secret   string
	// assertion is what is shown with private_key_jwt; clientID is its word then.
	assertion *token.Assertion
	// account is the token that a ServiceAccount shows.
	account string
}

// Authenticate returns the client that the request comes from. form is the request's body. An error is an *oauth.Error:
// invalid_request where the request is ambiguous, temporarily_unavailable where the answer is not known, otherwise
// invalid_client, with one and the same description for a client that is not known and for a credential that is not right or
// not of the method that the client is declared with. too_many_requests is told to a client that has used up what it may do. What a client may
// do that has proven itself, nobody else can use up: it is counted after the proof, and apart from all others.
func (a *Authenticator) Authenticate(r *http.Request, form url.Values, iss *registry.Issuer, now time.Time) (Caller, error) {
	caller, err := a.authenticate(r, form, iss, now)
	if err != nil || a.limits == nil {
		return caller, err
	}
	var (
		retry time.Duration
		ok    bool
	)
	if caller.Client.Public {
		retry, ok = a.limits.Public(caller.Client.UID, a.source(r), now)
	} else {
		retry, ok = a.limits.Client(caller.Client.UID, now)
	}
	if !ok {
		return Caller{}, oauth.Wait(retry)
	}
	return caller, nil
}

func (a *Authenticator) authenticate(r *http.Request, form url.Values, iss *registry.Issuer, now time.Time) (Caller, error) {
	creds, err := read(r, form)
	if err != nil {
		return Caller{}, err
	}
	client, _ := iss.Client(creds.clientID)
	switch creds.method {
	case oauth.AuthMethodNone:
		if client == nil || !client.Public {
			return Caller{}, errFailed()
		}
	case oauth.AuthMethodPrivateKeyJWT:
		if client == nil || client.Public || client.Assertion == nil {
			return Caller{}, errFailed()
		}
		if err := a.verifyAssertion(r, iss, client, creds.assertion, now); err != nil {
			return Caller{}, err
		}
	case oauth.AuthMethodServiceAccount:
		return a.authenticateAccount(r, iss, client, creds.account)
	default:
		// The secret is compared first, so that a client without one takes as long.
		secretID, ok := a.digest.matchingSecret(iss, client, creds.secret, now)
		if !ok || client.Public || client.Assertion != nil || len(client.ServiceAccounts) > 0 {
			return Caller{}, errFailed()
		}
		if a.uses != nil {
			a.uses.Used(client, secretID, now)
		}
	}
	return Caller{Client: client, Method: creds.method}, nil
}

func errFailed() *oauth.Error {
	return oauth.Errorf(oauth.InvalidClient, "client authentication failed")
}

// read finds the one method of the request.
func read(r *http.Request, form url.Values) (credentials, error) {
	var (
		headers   = r.Header.Values("Authorization")
		posted    = form.Get("client_secret") != ""
		assertion = form.Get("client_assertion") != "" || form.Get("client_assertion_type") != ""
		methods   = len(headers)
	)
	for _, used := range []bool{posted, assertion} {
		if used {
			methods++
		}
	}
	switch {
	case methods > 1:
		return credentials{}, oauth.Errorf(oauth.InvalidRequest, "more than one method of client authentication is used")
	case len(headers) == 1:
		return readBasic(headers[0], form)
	case assertion:
		return readAssertion(form)
	case form.Get("client_id") == "":
		return credentials{}, oauth.Errorf(oauth.InvalidClient, "the request names no client")
	case posted:
		return credentials{method: oauth.AuthMethodSecretPost, clientID: form.Get("client_id"), secret: form.Get("client_secret")}, nil
	}
	return credentials{method: oauth.AuthMethodNone, clientID: form.Get("client_id")}, nil
}
