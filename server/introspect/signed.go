package introspect

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// signedMediaType is of a signed reply (RFC 9701 section 4).
const signedMediaType = "application/" + oauth.TypIntrospection

// writeSigned answers with a JWT.
func (h *Handler) writeSigned(w http.ResponseWriter, iss *registry.Issuer, audience string, answer *oauth.Object) error {
	defer answer.Free()
	body, err := answer.JSON()
	if err != nil {
		return err
	}
	signed, err := token.SignIntrospection(iss, audience, body, h.Now())
	if err != nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the issuer has no key to sign with; try again").Wrap(err)
	}
	oauth.NoStore(w.Header())
	return oauth.WriteBody(w, http.StatusOK, signedMediaType, []byte(signed))
}

// wantsSigned says whether the caller asks for a signed reply by name, and wants JSON no better (RFC 9110 section 12.5.1).
func wantsSigned(header http.Header) bool {
	signed := quality(header, signedMediaType)
	return signed > 0 && signed >= quality(header, "application/json")
}

// quality is how well the caller wants a media type that it names; 0 for one that it doesn't.
func quality(header http.Header, mediaType string) float64 {
	best := 0.0
	for _, value := range header.Values("Accept") {
		for item := range strings.SplitSeq(value, ",") {
			named, params, err := mime.ParseMediaType(item)
			if err != nil || named != mediaType {
				continue
			}
			q := 1.0
			if raw, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(raw, 64); err != nil {
					continue
				}
			}
			best = max(best, q)
		}
	}
	return best
}
