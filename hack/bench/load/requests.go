package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
	"github.com/latchkey-io/latchkey/hack/bench/load/ceiling"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	formType   = "application/x-www-form-urlencoded"
	jsonType   = "application/json"
	reviewPath = "/apis/authentication.k8s.io/v1/tokenreviews"
	// What answers have in them that are as they should be.
	issued        = `"access_token":"`
	active        = `"active":true`
	authenticated = `"authenticated":true`
)

// request is one before it has a host.
type request struct{ path, contentType, authorization, body string }

// wire is requests as they go over the wire, head and body, which are sent in turn.
type wire [][]byte

// post makes a request to Latchkey; the ceiling does not mind the name.
func (b *bench) post(r request) []byte {
	var authorization string
	if r.authorization != "" {
		authorization = "Authorization: " + r.authorization + "\r\n"
	}
	host := strings.TrimPrefix(b.Issuer(), "http://")
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		r.path, host, authorization, r.contentType, len(r.body), r.body)
}

// basic is the Authorization header of the i-th client (RFC 6749 section 2.3.1), which has nothing to be encoded in its names.
func basic(i int) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(site.ClientID(i)+":"+site.SecretOf(i)))
}

var staticRequest = request{path: ceiling.StaticPath, contentType: formType, body: "grant_type=client_credentials"}

// tokenRequest is the i-th client's, for a token of its own.
func tokenRequest(i int) request {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {site.Identifier(i)}}
	return request{"/token", formType, basic(i), form.Encode()}
}

// tokenRequests are those of clients from until to.
func (b *bench) tokenRequests(from, to int) wire {
	var w wire
	for i := from; i < to; i++ {
		w = append(w, b.post(tokenRequest(i)))
	}
	return w
}

// introspectionRequest asks for the n-th time, in the name of one of the clients that may.
func introspectionRequest(n int, token string) request {
	return request{"/introspect", formType, basic(askedAbout + n%introspectors), url.Values{"token": {token}}.Encode()}
}

func reviewRequest(token string) (request, error) {
	body, err := json.Marshal(map[string]any{
		"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": map[string]any{"creationTimestamp": nil},
		"spec": map[string]any{"token": token, "audiences": []string{site.Identifier(askedAbout)}}, "status": map[string]any{"user": map[string]any{}},
	})
	return request{path: reviewPath, contentType: jsonType, body: string(body)}, err
}

// introspections are n introspections of tokens that nobody has seen.
func (b *bench) introspections(n int) (wire, error) {
	return b.about(n, func(i int, token string) (request, error) { return introspectionRequest(i, token), nil })
}

// reviews are n reviews of tokens that nobody has seen.
func (b *bench) reviews(n int) (wire, error) {
	return b.about(n, func(_ int, token string) (request, error) { return reviewRequest(token) })
}

func (b *bench) about(n int, ask func(i int, token string) (request, error)) (wire, error) {
	w := make(wire, n)
	for i := range w {
		token, err := b.AccessToken(askedAbout + i%site.PerNamespace)
		if err != nil {
			return nil, err
		}
		r, err := ask(i, token)
		if err != nil {
			return nil, err
		}
		w[i] = b.post(r)
	}
	return w, nil
}

// dial connects to a server that is sent requests in turn, each of which is answered with something.
func dial(address string, config *tls.Config, requests *wire, something string) generator.Dial {
	return generator.HTTP(address, config, generator.Request{
		Append: func(b []byte, n int) []byte { return append(b, (*requests)[n%len(*requests)]...) },
		Check: func(_ int, a generator.Answer) error {
			if a.Status != http.StatusOK || !bytes.Contains(a.Body, []byte(something)) {
				return fmt.Errorf("%d: %.300s", a.Status, a.Body)
			}
			return nil
		},
	})
}

// look sends a request and returns the body of the answer.
func look(ctx context.Context, address string, config *tls.Config, request []byte, something string) (body string, err error) {
	c, err := generator.HTTP(address, config, generator.Request{
		Append: func(b []byte, _ int) []byte { return append(b, request...) },
		Check: func(_ int, a generator.Answer) error {
			body = string(a.Body)
			if a.Status != http.StatusOK || !strings.Contains(body, something) {
				return fmt.Errorf("%d: %.300s", a.Status, a.Body)
			}
			return nil
		},
	})(ctx)
	if err != nil {
		return "", err
	}
	if err := c.Call(0); err != nil {
		_ = c.Close() // the other error says more
		return "", err
	}
	return body, c.Close()
}
