package review_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	authenticationv1beta1 "k8s.io/api/authentication/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestBothVersionsAreAnsweredAtEitherPath(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access(registrytest.Photos))
	for _, test := range []struct{ path, head, want string }{
		{v1Path, `"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview",`, "authentication.k8s.io/v1"},
		{v1Path, `"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview",`, "authentication.k8s.io/v1beta1"},
		{betaPath, `"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview",`, "authentication.k8s.io/v1"},
		{betaPath, `"apiVersion":"authentication.k8s.io/v1beta1","kind":"TokenReview",`, "authentication.k8s.io/v1beta1"},
		{betaPath, ``, "authentication.k8s.io/v1beta1"},
		{v1Path, ``, "authentication.k8s.io/v1"},
	} {
		body := `{` + test.head + `"metadata":{"creationTimestamp":null},"spec":{"token":"` + raw + `","audiences":["` + registrytest.Photos + `"]}}`
		w := f.post(test.path, []byte(body), fromAPIServer)
		var got authenticationv1beta1.TokenReview
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusOK || got.APIVersion != test.want || got.Kind != "TokenReview" || !got.Status.Authenticated || got.Status.User.Username != "oauth:alice" {
			t.Errorf("%s %s: HTTP %d %s", test.path, test.head, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), raw) {
			t.Error("the token is in the answer")
		}
	}
}

func TestBadRequests(t *testing.T) {
	good := `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"x"}}`
	for name, test := range map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
		reason     metav1.StatusReason
	}{
		"another path":       {path: "/", body: good, status: 404, reason: metav1.StatusReasonNotFound},
		"a path below":       {path: v1Path + "/x", body: good, status: 404, reason: metav1.StatusReasonNotFound},
		"GET":                {body: good, change: func(r *http.Request) { r.Method = "GET" }, status: 405, reason: metav1.StatusReasonMethodNotAllowed},
		"JSON as protobuf":   {body: good, change: contentType("application/vnd.kubernetes.protobuf"), status: 400, reason: metav1.StatusReasonBadRequest},
		"no protobuf":        {body: "k8s\x00\xff", change: contentType("application/vnd.kubernetes.protobuf"), status: 400, reason: metav1.StatusReasonBadRequest},
		"YAML":               {body: good, change: contentType("application/yaml"), status: 415, reason: metav1.StatusReasonUnsupportedMediaType},
		"a form":             {body: good, change: contentType("application/x-www-form-urlencoded"), status: 415, reason: metav1.StatusReasonUnsupportedMediaType},
		"no content type":    {body: good, change: contentType(""), status: 415, reason: metav1.StatusReasonUnsupportedMediaType},
		"no JSON":            {body: `{`, status: 400, reason: metav1.StatusReasonBadRequest},
		"two documents":      {body: good + good, status: 400, reason: metav1.StatusReasonBadRequest},
		"nothing":            {body: ``, status: 400, reason: metav1.StatusReasonBadRequest},
		"null":               {body: `null`, status: 400, reason: metav1.StatusReasonBadRequest},
		"deep":               {body: strings.Repeat("[", 60<<10), status: 400, reason: metav1.StatusReasonBadRequest},
		"another kind":       {body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"token":"x"}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"another version":    {body: `{"apiVersion":"authentication.k8s.io/v2","kind":"TokenReview","spec":{"token":"x"}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"no token":           {body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"a token of numbers": {body: `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":1}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"two tokens":         {body: `{"spec":{"token":"x","token":"y"}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"in another case":    {body: `{"spec":{"Token":"x"}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"many audiences":     {body: `{"spec":{"token":"x","audiences":["a"` + strings.Repeat(`,"a"`, 32) + `]}}`, status: 400, reason: metav1.StatusReasonBadRequest},
		"64 KiB and more":    {body: `{"spec":{"token":"` + strings.Repeat("x", 64<<10) + `"}}`, status: 413, reason: metav1.StatusReasonRequestEntityTooLarge},
		"no caller":          {body: good, change: func(r *http.Request) { r.TLS = nil }, status: 401, reason: metav1.StatusReasonUnauthorized},
		"an unproven caller": {body: good, change: func(r *http.Request) { r.TLS.VerifiedChains = nil }, status: 401, reason: metav1.StatusReasonUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			path := v1Path
			if test.path != "" {
				path = test.path
			}
			changes := []func(*http.Request){fromAPIServer}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			w := f.post(path, []byte(test.body), changes...)
			var got metav1.Status
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if w.Code != test.status || int(got.Code) != test.status || got.Reason != test.reason || got.Kind != "Status" || got.APIVersion != "v1" || got.Status != "Failure" {
				t.Errorf("HTTP %d, %+v", w.Code, got)
			}
			if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", h)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (test.status == 401) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
}

func contentType(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", value) }
}

// A panic is no answer, and is seen in the log.
func TestAPanicIsAnInternalError(t *testing.T) {
	f := newFixture(t)
	raw := f.sign(t, f.access(registrytest.Photos))
	f.handler.Verifier = nil
	got, code := f.ask(t, raw, registrytest.Photos)
	if code != http.StatusInternalServerError || got.Authenticated || !strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("%d %+v, log: %s", code, got, f.log)
	}
}
