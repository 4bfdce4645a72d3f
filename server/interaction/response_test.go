package interaction

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// A request object is refused where the client listens: what it says about that is read, and nothing else of it.
func TestPeekRequestObject(t *testing.T) {
	object := func(payload string) string {
		return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "."
	}
	for _, tc := range []struct {
		name, object, mode, state string
		wantPost                  bool
		wantState                 string
	}{
		{name: "both inside", object: object(`{"response_mode":"form_post","state":"inside"}`), wantPost: true, wantState: "inside"},
		{name: "outside wins", object: object(`{"response_mode":"form_post","state":"inside"}`), mode: "query", state: "outside", wantState: "outside"},
		{name: "no object", object: "nonsense"},
		{name: "two parts", object: strings.TrimSuffix(object(`{"state":"inside"}`), ".")},
		{name: "padding", object: strings.TrimSuffix(object(`{"state":"inside"}`), ".") + "=."},
		{name: "line breaks", object: strings.Replace(object(`{"state":"inside"}`), ".", ".\r\n", 1)},
		{name: "a state twice", object: object(`{"state":"inside","state":"evil"}`)},
		{name: "a state that is none", object: object(`{"state":{"a":1},"response_mode":["form_post"]}`)},
		{name: "too long a state", object: object(`{"state":"` + strings.Repeat("x", maxStateLength+1) + `"}`)},
		{name: "deep", object: object(strings.Repeat("[", 2000) + strings.Repeat("]", 2000))},
		{name: "other capitals", object: object(`{"State":"inside","RESPONSE_MODE":"form_post"}`)},
	} {
		params := url.Values{"request": {tc.object}}
		if tc.mode != "" {
			params.Set("response_mode", tc.mode)
		}
		if tc.state != "" {
			params.Set("state", tc.state)
		}
		r := &Request{RedirectURI: "https://c.example/cb", params: params}
		if r.readResponse(); r.FormPost != tc.wantPost || r.State != tc.wantState {
			t.Errorf("%s: form_post %t, state %q", tc.name, r.FormPost, r.State)
		}
	}
}

func FuzzRequestObject(f *testing.F) {
	for _, payload := range []string{`{"response_mode":"form_post","state":"x"}`, `{"state":"\ud800"}`, `{"state":null}`, `[]`, ``} {
		f.Add("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".")
	}
	f.Add("..")
	f.Fuzz(func(t *testing.T, object string) {
		inside := peekRequestObject(object)
		if len(inside) > 2 || len(inside["state"]) > maxStateLength {
			t.Fatalf("%q: %v", object, inside)
		}
	})
}
