package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestEveryErrorHasAStatus(t *testing.T) {
	for code, want := range map[Code]int{
		InvalidRequest: 400, InvalidGrant: 400, InvalidScope: 400, InvalidTarget: 400, UnsupportedGrantType: 400, AccessDenied: 400,
		InvalidClient: 401, InvalidToken: 401, InsufficientScope: 403, Forbidden: 403, NotFound: 404, MethodNotAllowed: 405,
		TooLarge: 413, ServerError: 500, TemporarilyUnavailable: 503, TooManyRequests: 429,
	} {
		if got := code.Status(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestInternalErrorsAreNotTold(t *testing.T) {
	for name, err := range map[string]error{
		"another error": errors.New("etcd: secret detail"),
		"a cause":       Errorf(InvalidGrant, "the code is not good").Wrap(errors.New("etcd: secret detail")),
	} {
		w := httptest.NewRecorder()
		if err := WriteError(w, httptest.NewRequest(http.MethodPost, "/token", nil), AsError(err)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(w.Body.String(), "secret detail") {
			t.Errorf("%s: told %s", name, w.Body)
		}
	}
}

func TestErrorResponse(t *testing.T) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/token", nil)
	r.Header.Set("Authorization", "Basic !")
	if err := WriteError(w, r, Errorf(InvalidClient, "say \"who\"\r\nyou are \\ é")); err != nil {
		t.Fatal(err)
	}
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != 401 || body["error"] != "invalid_client" || body["error_description"] != "say ?who???you are ? ?" {
		t.Errorf("%d %v", w.Code, body)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
		"WWW-Authenticate": `Basic realm="token", charset="UTF-8"`,
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// RFC 6749 section 5.2: who did not use the Authorization header is not challenged for it.
func TestNoChallengeForCredentialsInTheBody(t *testing.T) {
	w := httptest.NewRecorder()
	if err := WriteError(w, httptest.NewRequest(http.MethodPost, "/token", nil), Errorf(InvalidClient, "who")); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("WWW-Authenticate"); got != "" || w.Code != 401 {
		t.Errorf("%d, challenged with %q", w.Code, got)
	}
}

func TestBearerChallengeNamesNoErrorWithoutAToken(t *testing.T) {
	for present, want := range map[bool]string{
		true:  `Bearer realm="userinfo", error="invalid_token", error_description="it is over"`,
		false: `Bearer realm="userinfo"`,
	} {
		w := httptest.NewRecorder()
		if err := WriteBearerError(w, Errorf(InvalidToken, "it is over"), present); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("WWW-Authenticate"); got != want || w.Code != 401 {
			t.Errorf("token present %t: %d %q, want %q", present, w.Code, got, want)
		}
	}
}

func TestParseQuery(t *testing.T) {
	many := strings.Repeat("&x=1", maxParameters)
	for name, c := range map[string]struct {
		raw string
		ok  bool
	}{
		"nothing":                    {"", true},
		"once each":                  {"a=1&b=2", true},
		"duplicate parameter":        {"state=1&state=2", false},
		"duplicate, one empty":       {"state=1&state=", false},
		"resource may repeat":        {"resource=a&resource=b", true},
		"not well-formed":            {"a=%zz", false},
		"semicolons":                 {"a=1;b=2", false},
		"too long":                   {"a=" + strings.Repeat("x", MaxParameterLength+1), false},
		"the same one over and over": {"x=1" + many, false},
	} {
		_, err := ParseQuery(c.raw)
		if (err == nil) != c.ok || err != nil && AsError(err).Code != InvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	v, err := ParseQuery("a=&b=1")
	if err != nil || v.Has("a") || v.Get("b") != "1" {
		t.Errorf("a parameter without a value counts as omitted: %v %v", v, err)
	}
}

func TestTokenRequestInTheQueryString(t *testing.T) {
	request := func(method, target, contentType, body string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return r
	}
	for name, c := range map[string]struct {
		r    *http.Request
		code Code
	}{
		"a form":            {request("POST", "/token", FormMediaType, "a=1"), ""},
		"with a charset":    {request("POST", "/token", FormMediaType+"; charset=utf-8", "a=1"), ""},
		"in the query":      {request("POST", "/token?a=1", FormMediaType, ""), InvalidRequest},
		"GET":               {request("GET", "/token", "", ""), MethodNotAllowed},
		"JSON":              {request("POST", "/token", "application/json", "{}"), InvalidRequest},
		"no type":           {request("POST", "/token", "", "a=1"), InvalidRequest},
		"a parameter twice": {request("POST", "/token", FormMediaType, "a=1&a=1"), InvalidRequest},
	} {
		v, err := ParseForm(c.r)
		switch {
		case c.code == "" && (err != nil || v.Get("a") != "1"):
			t.Errorf("%s: %v %v", name, v, err)
		case c.code != "" && (err == nil || AsError(err).Code != c.code):
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestSplitScope(t *testing.T) {
	if got := SplitScope("  b a  b c "); !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("%q", got)
	}
}

func TestWellFormedPKCE(t *testing.T) {
	tests := map[string]bool{
		strings.Repeat("a", 42):                false,
		strings.Repeat("a", 43):                true,
		strings.Repeat("~", 128):               true,
		strings.Repeat("a", 129):               false,
		"AZaz09-._~" + strings.Repeat("x", 33): true,
		strings.Repeat("a", 42) + "+":          false,
		strings.Repeat("a", 42) + "é":          false,
	}
	for s, want := range tests {
		if got := WellFormedPKCE(s); got != want {
			t.Errorf("%q: %v; want %v", s, got, want)
		}
	}
}

func TestBearerToken(t *testing.T) {
	for header, want := range map[string]string{"Bearer abc": "abc", "bearer  abc ": "abc", "Bearer": "", "Bearer ": "", "Basic abc": "", "": ""} {
		if got, ok := BearerToken(header); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", header, got, ok, want)
		}
	}
}
