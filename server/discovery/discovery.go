// Package discovery serves what a client may know of an issuer beforehand: its metadata (RFC 8414, OpenID Connect Discovery)
// and its public keys (RFC 7517).
package discovery

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// cacheControl lets everybody keep the documents for five minutes: far less than a key is published before it is used.
const cacheControl = "public, max-age=300"

// Handler serves the metadata, at every well-known form, and /jwks.
type Handler struct {
	remembered sync.Map // issuer URL → *document
}

// New makes a Handler.
func New() *Handler { return &Handler{} }

// document is what was made of a Config.
type document struct {
	config *registry.Config
	body   []byte
}

// Metadata serves the metadata document, which is one and the same for OAuth and OpenID Connect.
func (h *Handler) Metadata(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	body, err := h.metadata(iss.Config)
	if err != nil {
		return err
	}
	return serve(w, r, "application/json", body)
}

// JWKS serves the issuer's public keys.
func (h *Handler) JWKS(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	return serve(w, r, "application/jwk-set+json", iss.Keys.JWKS())
}

// metadata makes the document once for a Config.
func (h *Handler) metadata(c *registry.Config) ([]byte, error) {
	if d, ok := h.remembered.Load(c.URL); ok && d.(*document).config == c {
		return d.(*document).body, nil
	}
	body, err := marshalMetadata(c)
	if err != nil {
		return nil, err
	}
	h.remembered.Store(c.URL, &document{c, body})
	return body, nil
}

// serve answers with a body that caches may keep, and 304 to those who have it already (RFC 9110 section
// 13.1.2).
func serve(w http.ResponseWriter, r *http.Request, contentType string, body []byte) error {
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", cacheControl)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return oauth.WriteBody(w, http.StatusOK, contentType, body)
}

// matches compares weakly (RFC 9110 section 13.1.2). Our tags hold no comma.
func matches(conditions []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(conditions, ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
