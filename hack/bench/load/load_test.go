package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

func newBench() *bench {
	return &bench{Site: &site.Site{Listen: site.Listeners{HTTP: 12345}}, Options: Options{Turn: 50 * time.Millisecond, Out: io.Discard}}
}

// Each client asks in its own name, for the API of its namespace.
func TestTokenRequests(t *testing.T) {
	requests := newBench().tokenRequests(99, 101)
	for i, raw := range requests {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		id, secret, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil {
			t.Fatal(err)
		}
		n := 99 + i
		if id != site.ClientID(n) || secret != site.SecretOf(n) || r.PostForm.Get("resource") != site.Identifier(n) || r.Host != "localhost:12345" {
			t.Errorf("%s", raw)
		}
	}
	if len(requests) != 2 {
		t.Errorf("%d requests", len(requests))
	}
}

func TestAPIsOfTheFirstTwoNamespacesDiffer(t *testing.T) {
	var signed, asked, other v1alpha1.ResourceServer
	changeAPI(site.NamespaceOf(0), &signed)
	changeAPI(site.NamespaceOf(askedAbout), &asked)
	changeAPI(site.NamespaceOf(few), &other)
	if signed.Spec.AccessToken == nil || signed.Spec.AccessToken.SigningAlgorithm != "RS256" || signed.Spec.Introspection != nil {
		t.Errorf("%+v", signed.Spec)
	}
	if asked.Spec.Introspection == nil || len(asked.Spec.Introspection.Clients) != introspectors || asked.Spec.AccessToken != nil {
		t.Errorf("%+v", asked.Spec)
	}
	if other.Spec.Introspection != nil || other.Spec.AccessToken != nil {
		t.Errorf("%+v", other.Spec)
	}
}

// Requests are sent in turn, and an answer that is not what it should be ends the run.
func TestAnswersAreLookedAt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "%s=yes", text) // the test fails where nothing arrives
	}))
	t.Cleanup(server.Close)
	b, address := newBench(), strings.TrimPrefix(server.URL, "http://")
	w := wire{b.post(request{path: "/", contentType: formType, body: "a"}), b.post(request{path: "/", contentType: formType, body: "b"})}
	take := func(something string) error {
		result, err := b.rules().Take(context.Background(), &rounds.Contestant{Name: "x", Connections: 1, Dial: dial(address, nil, &w, something)})
		if err == nil && result.Calls < 2 {
			err = fmt.Errorf("%d calls", result.Calls)
		}
		return err
	}
	if err := take("=yes"); err != nil {
		t.Error(err)
	}
	if err := take("a=yes"); err == nil {
		t.Error("an answer to another question was taken")
	}
	if body, err := look(t.Context(), address, nil, w[1], "b="); err != nil || body != "b=yes" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestShareOfACore(t *testing.T) {
	b := newBench()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	w := wire{b.post(staticRequest)}
	share, err := b.share(t.Context(), os.Getpid(), &rounds.Contestant{Name: "x", Connections: 1, Dial: dial(strings.TrimPrefix(server.URL, "http://"), nil, &w, "")})
	if err != nil || share < 0 {
		t.Errorf("%v, %v", share, err)
	}
}
