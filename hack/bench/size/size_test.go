package size

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

func TestPercentileIsReachedByThatMany(t *testing.T) {
	var values []time.Duration
	for i := range 200 {
		values = append(values, time.Duration(200-i)*time.Millisecond)
	}
	for p, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%d: %v, want %v", p, got, want)
		}
	}
	if got := percentile(values[:1], 99); got != 200 {
		t.Errorf("of one value: %v", got)
	}
}

func TestMemoryAndTimeOfAProcess(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil || m.resident < mebibyte || m.peak < m.resident {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := processorTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if got, err := kilobytes([]byte("VmHWM:\t  12 kB\nVmRSS:\t    5 kB\n"), "VmRSS"); err != nil || got != 5*1024 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWritesAreCounted(t *testing.T) {
	before := requests{"POST secrets": 2, "GET secrets": 7}
	after := requests{"POST secrets": 5, "GET secrets": 9, "PATCH oauthclients/status": 4, "PUT leases": 3}
	if n := after.since(before).writes(); n != 7 {
		t.Errorf("%v writes", n)
	}
	line := `apiserver_request_total{code="200",component="apiserver",dry_run="",group="oauth.latchkey.io",resource="oauthclients",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 42`
	if found := requestTotal.FindStringSubmatch(line); len(found) != 5 || found[1] != "oauthclients" || found[2] != "status" || found[3] != "PATCH" || found[4] != "42" {
		t.Errorf("%q", found)
	}
}

// The server would let each copy of the client in with its own secret and with no other's.
func TestCopiesOfAClientHaveDigestsOfTheirOwn(t *testing.T) {
	material, _, err := (*keys.Material)(nil).Rotate(keys.Schedule{Algorithms: []keys.Algorithm{keys.ES256}, Interval: time.Hour, PublishAhead: time.Minute, Keep: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	if s.source.keys, err = keys.NewSet(material); err != nil {
		t.Fatal(err)
	}
	source := []byte(`{"spec":{"resources":[{"namespace":"source","name":"orders"}],"authentication":{"clientSecret":{"secretName":"x"}}}}`)
	value, err := copyOf(source, func(c *v1alpha1.OAuthClient) { s.toClient(c, 123) })
	if err != nil {
		t.Fatal(err)
	}
	var c v1alpha1.OAuthClient
	if err := json.Unmarshal(value, &c); err != nil {
		t.Fatal(err)
	}
	digest := s.source.keys.ClientDigest(string(c.UID), c.Status.Secrets[0].ID, time.Time{}, secretOf(123))
	if c.Status.Secrets[0].Digest != base64.RawURLEncoding.EncodeToString(digest[:]) || c.Status.ClientID != clientID(123) || c.Namespace != "team-0001" {
		t.Errorf("%+v", c)
	}
}

func TestEtcdIsWrittenInTransactions(t *testing.T) {
	var transactions, pairs int
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v3/kv/txn" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		transactions, pairs = transactions+1, pairs+strings.Count(string(text), "requestPut")
		_, _ = io.WriteString(w, `{"succeeded":true}`) // the test fails where nothing arrives
	}))
	t.Cleanup(gateway.Close)
	e := &etcd{url: gateway.URL}
	err := e.put(context.Background(), 250, func(int) (pair, error) { return pair{[]byte("k"), []byte("v")}, nil })
	if err != nil || transactions != 3 || pairs != 250 {
		t.Errorf("%d pairs in %d transactions, %v", pairs, transactions, err)
	}
}
