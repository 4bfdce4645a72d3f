package clientauth

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// Whatever stands in the header: a client comes of its own id and secret, and all else is an error that a client can be told.
func FuzzBasic(f *testing.F) {
	iss := registrytest.Issuer(f, "https://login.example.com", testNow())
	for _, header := range []string{basic(id, secret), basic(id, ""), encoded(id), encoded("%zz:x"), encoded(":"), "Basic", "Basic ====", "Bearer x", ""} {
		f.Add(header, "")
	}
	f.Add(basic(id, secret), "client_id="+registrytest.Native)
	f.Fuzz(func(t *testing.T, header, body string) {
		form, err := oauth.ParseQuery(body)
		if err != nil {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/token", nil)
		r.Header.Set("Authorization", header)
		caller, err := New(Config{}).Authenticate(r, form, iss, testNow())
		c := caller.Client
		if err != nil {
			if code := oauth.AsError(err).Code; c != nil || (code != oauth.InvalidClient && code != oauth.InvalidRequest) {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		_, encoded, _ := strings.Cut(header, " ")
		joined, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		rawID, rawSecret, _ := strings.Cut(string(joined), ":")
		gotID, _ := url.QueryUnescape(rawID)
		if got, _ := url.QueryUnescape(rawSecret); c.ID != gotID || got != secret {
			t.Fatalf("%q is taken for %s", header, c.ID)
		}
	})
}
