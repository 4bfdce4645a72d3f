package oauth

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"sync"
)

// MaxParameterLength bounds a parameter, in bytes: an authorization code is the longest.
const MaxParameterLength = 8192

// maxParameters bounds how many parameters there are in a request.
const maxParameters = 64

// ParseQuery parses parameters that stand in a URL or form. A parameter that may occur once and occurs twice is refused
// (RFC 6749 section 3.1), as is an input with too many of them; `resource` may repeat (RFC 8707 section 2). Parameters
// without a value are treated as omitted.
func ParseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, Errorf(InvalidRequest, "the parameters are not well-formed").Wrap(err)
	}
	if len(values) > maxParameters {
		return nil, Errorf(InvalidRequest, "more than %d parameters", maxParameters)
	}
	for name, v := range values {
		if len(v) > 1 && name != "resource" {
			return nil, Errorf(InvalidRequest, "a parameter is given more than once: %s", PrintableASCII(name[:min(len(name), 64)]))
		}
		for _, s := range v {
			if len(s) > MaxParameterLength {
				return nil, Errorf(InvalidRequest, "a parameter is longer than %d bytes", MaxParameterLength)
			}
		}
		if len(v) == 1 && v[0] == "" {
			delete(values, name)
		}
	}
	return values, nil
}

// ParseForm reads the parameters of a POST body and nothing else: parameters in the query string of a token request are
// refused, for URLs are logged (RFC 6749 section 2.3.1). The body has been bounded by the server.
func ParseForm(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, Errorf(MethodNotAllowed, "use POST")
	}
	if r.URL.RawQuery != "" {
		return nil, Errorf(InvalidRequest, "parameters belong in the body, not in the query string")
	}
	return ParseBody(r)
}

// ParseBody reads the parameters of a form body (RFC 6749 appendix B).
func ParseBody(r *http.Request) (url.Values, error) {
	if !isForm(r.Header.Get("Content-Type")) {
		return nil, Errorf(InvalidRequest, "the body must be %s", FormMediaType)
	}
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	return ParseQuery(body)
}

// isForm says whether a Content-Type is that of a form, with parameters or without.
func isForm(contentType string) bool {
	if contentType == FormMediaType {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == FormMediaType
}

// maxReserve bounds the memory that is set aside for a body before it comes, in bytes: its length is only what the other side says.
const maxReserve = 4 << 10

// Body is a whole body that was read.
type Body struct{ bytes.Buffer }

// bodies are those that have been freed.
var bodies = sync.Pool{New: func() any { return new(Body) }}

// ReadBody reads the whole body, which whoever calls has bounded.
func ReadBody(r *http.Request) (*Body, error) {
	body := bodies.Get().(*Body)
	body.Reset()
	body.Grow(int(min(max(r.ContentLength, 0), maxReserve)) + bytes.MinRead)
	_, err := body.ReadFrom(r.Body)
	return body, err
}

// Free ends the use of the body and of its bytes.
func (b *Body) Free() {
	if b.Cap() <= maxFreed {
		bodies.Put(b)
	}
}

func readAll(r *http.Request) (string, error) {
	body, err := ReadBody(r)
	defer body.Free()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", Errorf(TooLarge, "the body is longer than %d bytes", tooLarge.Limit)
	case err != nil:
		return "", Errorf(InvalidRequest, "the body could not be read").Wrap(err)
	}
	return body.String(), nil
}
