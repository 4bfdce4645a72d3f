// Package discovery serves what a client may know of an issuer beforehand: its metadata (RFC 8414, OpenID Connect Discovery)
// and its public keys (RFC 7517).
package discovery

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// cacheControl lets everybody keep the documents for five minutes: far less than a key is published before it is used.
const cacheControl = "public, max-age=300"

// The endpoints, below the issuer, that are in the metadata where the server has them.
const (
	Introspection       = "/introspect"
	Revocation          = "/revoke"
	EndSession          = "/logout"
	DeviceAuthorization = "/device_authorization"
)

// Handler serves the metadata, at every well-known form, and /jwks.
type Handler struct {
	serves   func(path string) bool
	metadata documents[registry.Config]
	keyLists documents[keys.Set]
}

// New makes a Handler. serves says which of the endpoints there are; it is asked when a document is made.
func New(serves func(path string) bool) *Handler { return &Handler{serves: serves} }

// Metadata serves the metadata document, which is one and the same for OAuth and OpenID Connect.
func (h *Handler) Metadata(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	d, err := h.metadata.of(iss.Config, func() ([]byte, error) { return json.Marshal(h.describe(iss.Config)) })
	if err != nil {
		return err
	}
	return d.serve(w, r, "application/json")
}

// JWKS serves the issuer's public keys.
func (h *Handler) JWKS(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	d, err := h.keyLists.of(iss.Keys, func() ([]byte, error) { return iss.Keys.JWKS(), nil })
	if err != nil {
		return err
	}
	return d.serve(w, r, "application/jwk-set+json")
}

// documents remembers the one document that is made of a source, for as long as that source is published or a request uses it.
type documents[Source any] struct {
	remembered sync.Map // weak.Pointer[Source] → *document
}

// document must not hold on to its source.
type document struct {
	body []byte
	etag string
}

// of is the document of the source, made at its first request.
func (s *documents[Source]) of(source *Source, make func() ([]byte, error)) (*document, error) {
	key := weak.Make(source)
	if d, ok := s.remembered.Load(key); ok {
		return d.(*document), nil
	}
	body, err := make()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	d := &document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`}
	if _, there := s.remembered.LoadOrStore(key, d); !there {
		runtime.AddCleanup(source, func(key weak.Pointer[Source]) { s.remembered.Delete(key) }, key)
	}
	return d, nil
}

// serve answers with a body that caches may keep, and 304 to those who have it already (RFC 9110 section
// 13.1.2).
func (d *document) serve(w http.ResponseWriter, r *http.Request, contentType string) error {
	w.Header().Set("ETag", d.etag)
	w.Header().Set("Cache-Control", cacheControl)
	if matches(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return oauth.WriteBody(w, http.StatusOK, contentType, d.body)
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
