package clientauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
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

// readBasic reads client_secret_basic, whose two parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
func readBasic(header string, form url.Values) (credentials, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, errBasic()
	}
	joined, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return credentials{}, errBasic()
	}
	rawID, rawSecret, ok := strings.Cut(string(joined), ":")
	id, idErr := url.QueryUnescape(rawID)
	secret, secretErr := url.QueryUnescape(rawSecret)
	if !ok || idErr != nil || secretErr != nil || id == "" {
		return credentials{}, errBasic()
	}
	if named := form.Get("client_id"); named != "" && named != id {
		return credentials{}, oauth.Errorf(oauth.InvalidRequest, "client_id in the body is not the one in the Authorization header")
	}
	return credentials{method: oauth.AuthMethodSecretBasic, clientID: id, secret: secret}, nil
}

func errBasic() *oauth.Error {
	return oauth.Errorf(oauth.InvalidClient, "the Authorization header is not HTTP Basic with a client_id and client_secret")
}

// clientDigest is a method such as keys.Set.ClientDigest.
type clientDigest func(set *keys.Set, clientUID, secretID string, expiresAt time.Time, secret string) [sha256.Size]byte

// matchingSecret compares the secret with every secret of the client that has not expired, each in constant time and all of them
// whichever matches, and returns the id of the one that does. The client may be nil: then the work is done for nothing.
func (digestOf clientDigest) matchingSecret(iss *registry.Issuer, client *registry.Client, secret string, now time.Time) (id string, ok bool) {
	if secret == "" || len(secret) > maxSecretLength {
		return "", false
	}
	uid, secrets := decoyUID, []registry.Secret(nil)
	if client != nil {
		uid, secrets = client.UID, client.Secrets
	}
	const none = -1
	found := none
	for i := range max(len(secrets), digests) {
		s, declared := registry.Secret{ID: decoyID}, 0
		if i < len(secrets) && (secrets[i].ExpiresAt.IsZero() || now.Before(secrets[i].ExpiresAt)) {
			s, declared = secrets[i], 1
		}
		digest := digestOf(iss.Keys, uid, s.ID, s.ExpiresAt, secret)
		found = subtle.ConstantTimeSelect(declared&subtle.ConstantTimeCompare(digest[:], s.Digest[:]), i, found)
	}
	if found == none {
		return "", false
	}
	return secrets[found].ID, true
}
