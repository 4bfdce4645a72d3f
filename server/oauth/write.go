package oauth

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Values of header fields that nearly every answer has: all answers share them, and nobody changes them.
var (
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
	noSniff  = []string{"nosniff"}
	jsonType = []string{"application/json"}
)

// NoStore forbids every cache to keep the response (RFC 6749 section 5.1).
func NoStore(h http.Header) {
	h["Cache-Control"], h["Pragma"] = noStore, noCache
}

// NoSniff forbids browsers to take the response for something else than it says it is (Fetch, X-Content-Type-Options).
func NoSniff(h http.Header) { h["X-Content-Type-Options"] = noSniff }

// WriteJSON writes v, uncached, with the status.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return WriteJSONBody(w, status, body)
}

// WriteObject writes o, uncached, with the status, and frees it. It does not where the write fails: of a stream of HTTP/2 that the client has
// reset, a frame may still be on its way then, which must not come to have another's answer in it.
func WriteObject(w http.ResponseWriter, status int, o *Object) error {
	body, err := o.JSON()
	if err == nil {
		err = WriteJSONBody(w, status, body)
	}
	if err == nil {
		o.Free()
	}
	return err
}

// WriteJSONBody writes JSON that is ready, uncached, with the status.
func WriteJSONBody(w http.ResponseWriter, status int, body []byte) error {
	NoStore(w.Header())
	return writeBody(w, status, jsonType, body)
}

// WriteBody writes a whole body of a media type, and forbids its content to be sniffed.
func WriteBody(w http.ResponseWriter, status int, contentType string, body []byte) error {
	return writeBody(w, status, []string{contentType}, body)
}

func writeBody(w http.ResponseWriter, status int, contentType []string, body []byte) error {
	h := w.Header()
	h["Content-Type"] = contentType
	NoSniff(h)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// SetRetryAfter says in whole seconds when to come back (RFC 9110 section 10.2.3).
func SetRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int((d+time.Second-1)/time.Second)))
}

// errorBody is the error response of RFC 6749 section 5.2.
type errorBody struct {
	Error       Code   `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// WriteError answers the request with the JSON error of RFC 6749 section 5.2. A client that failed HTTP authentication is
// challenged; one that used the body is not, for client libraries take a challenge for all that there is to know.
func WriteError(w http.ResponseWriter, r *http.Request, e *Error) error {
	if e.Code == InvalidClient && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="token", charset="UTF-8"`)
	}
	return WriteJSON(w, e.Code.Status(), errorBody{Error: e.Code.inBody(), Description: PrintableASCII(e.Description)})
}

// WriteBearerError answers a request for a protected resource (RFC 6750 section 3). With no token in the request the
// challenge names no error.
func WriteBearerError(w http.ResponseWriter, e *Error, tokenPresent bool) error {
	challenge := `Bearer realm="userinfo"`
	if tokenPresent {
		challenge += `, error="` + string(e.Code) + `", error_description="` + PrintableASCII(e.Description) + `"`
	}
	if s := e.Code.Status(); s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusBadRequest {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	return WriteJSON(w, e.Code.Status(), errorBody{Error: e.Code.inBody(), Description: PrintableASCII(e.Description)})
}

// PrintableASCII replaces what an error_description must not hold (RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E).
func PrintableASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}
