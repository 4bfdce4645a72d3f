// Package clientauth says which client is calling, proven by the credential that the client was declared with (RFC 6749
// section 2.3, OpenID Connect Core section 9).
package clientauth

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// maxSecretLength bounds the secrets that are looked at, in bytes.
	maxSecretLength = 1024
	// digests is how many digests at least are computed for a call, so that neither an unknown client nor one that has a
	// single secret answers sooner than one whose secret is being rotated.
	digests = 2
	// decoyUID and decoyID stand in for a client and a secret that are not there.
	decoyUID, decoyID = "00000000-0000-0000-0000-000000000000", "0000000000000000"
)

// credentials are what a request shows of its client. At most one of the methods is used.
type credentials struct {
	clientID, secret string
	// none is true when the request names a client and proves nothing.
	none bool
}

// Config is what an Authenticator needs.
type Config struct {
	// Outbound fetches the keys of clients that keep them at a URL; none can be fetched when nil.
	Outbound *http.Client
}

// Authenticator authenticates clients. All endpoints of a server share one.
type Authenticator struct{}

// New makes an Authenticator.
func New(Config) *Authenticator { return &Authenticator{} }

// Caller is a client that has proven itself.
type Caller struct {
	Client *registry.Client
	// Method is how: one of the oauth.AuthMethod constants.
	Method string
}

// Authenticate returns the client that the request comes from. form is the request's body. An error is an *oauth.Error:
// invalid_request where the request is ambiguous, otherwise invalid_client, with one and the same description for a client
// that is not known and for a wrong secret, after the same work.
func (a *Authenticator) Authenticate(r *http.Request, form url.Values, iss *registry.Issuer, now time.Time) (Caller, error) {
	creds, err := read(r, form)
	if err != nil {
		return Caller{}, err
	}
	client, known := iss.Client(creds.clientID)
	switch {
	case creds.none && known && client.Public:
		return Caller{client, oauth.AuthMethodNone}, nil
	case creds.none:
		return Caller{}, errFailed()
	}
	if !secretMatches(iss, client, creds.secret, now) || client.Public {
		return Caller{}, errFailed()
	}
	method := oauth.AuthMethodSecretPost
	if r.Header.Get("Authorization") != "" {
		method = oauth.AuthMethodSecretBasic
	}
	return Caller{client, method}, nil
}

func errFailed() *oauth.Error {
	return oauth.Errorf(oauth.InvalidClient, "client authentication failed")
}

// read finds the one method of the request.
func read(r *http.Request, form url.Values) (credentials, error) {
	headers := r.Header.Values("Authorization")
	methods := len(headers)
	for _, names := range [][]string{{"client_secret"}, {"client_assertion", "client_assertion_type"}} {
		if has(form, names) {
			methods++
		}
	}
	switch {
	case methods > 1:
		return credentials{}, oauth.Errorf(oauth.InvalidRequest, "more than one method of client authentication is used")
	case len(headers) == 1:
		return readBasic(headers[0], form)
	case form.Get("client_id") == "":
		return credentials{}, oauth.Errorf(oauth.InvalidClient, "the request names no client")
	case form.Get("client_secret") != "":
		return credentials{clientID: form.Get("client_id"), secret: form.Get("client_secret")}, nil
	case methods == 1:
		return credentials{}, oauth.Errorf(oauth.InvalidClient, "client assertions are not supported")
	}
	return credentials{clientID: form.Get("client_id"), none: true}, nil
}

func has(form url.Values, names []string) bool {
	for _, n := range names {
		if form.Get(n) != "" {
			return true
		}
	}
	return false
}

// readBasic reads client_secret_basic, whose two parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
func readBasic(header string, form url.Values) (credentials, error) {
	malformed := oauth.Errorf(oauth.InvalidClient, "the Authorization header is not HTTP Basic with a client_id and client_secret")
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, malformed
	}
	joined, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return credentials{}, malformed
	}
	rawID, rawSecret, ok := strings.Cut(string(joined), ":")
	id, idErr := url.QueryUnescape(rawID)
	secret, secretErr := url.QueryUnescape(rawSecret)
	if !ok || idErr != nil || secretErr != nil || id == "" {
		return credentials{}, malformed
	}
	if named := form.Get("client_id"); named != "" && named != id {
		return credentials{}, oauth.Errorf(oauth.InvalidRequest, "client_id in the body is not the one in the Authorization header")
	}
	return credentials{clientID: id, secret: secret}, nil
}

// secretMatches compares the secret with every secret of the client that has not expired, each in constant time and all of them
// whichever matches. The client may be nil: then the work is done for nothing.
func secretMatches(iss *registry.Issuer, client *registry.Client, secret string, now time.Time) bool {
	if secret == "" || len(secret) > maxSecretLength {
		return false
	}
	uid, secrets := decoyUID, []registry.Secret(nil)
	if client != nil {
		uid, secrets = client.UID, client.Secrets
	}
	matched := 0
	for i := range max(len(secrets), digests) {
		s, declared := registry.Secret{ID: decoyID}, 0
		if i < len(secrets) && (secrets[i].ExpiresAt.IsZero() || now.Before(secrets[i].ExpiresAt)) {
			s, declared = secrets[i], 1
		}
		digest := iss.Keys.ClientDigest(uid, s.ID, s.ExpiresAt, secret)
		matched |= declared & subtle.ConstantTimeCompare(digest[:], s.Digest[:])
	}
	return matched == 1
}
