package site

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

// The server would let each copy of the client in with its own secret and with no other's.
func TestCopiesOfAClientHaveDigestsOfTheirOwn(t *testing.T) {
	material, _, err := (*keys.Material)(nil).Rotate(keys.Schedule{Algorithms: []keys.Algorithm{keys.ES256}, Interval: time.Hour, PublishAhead: time.Minute, Keep: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{}
	if s.source.keys, err = keys.NewSet(material); err != nil {
		t.Fatal(err)
	}
	source := []byte(`{"spec":{"resources":[{"namespace":"source","name":"orders"}],"authentication":{"clientSecret":{"secretName":"x"}}}}`)
	value, err := CopyOf(source, func(c *v1alpha1.OAuthClient) { s.toClient(c, 123) })
	if err != nil {
		t.Fatal(err)
	}
	var c v1alpha1.OAuthClient
	if err := json.Unmarshal(value, &c); err != nil {
		t.Fatal(err)
	}
	digest := s.source.keys.ClientDigest(string(c.UID), c.Status.Secrets[0].ID, time.Time{}, SecretOf(123))
	if c.Status.Secrets[0].Digest != base64.RawURLEncoding.EncodeToString(digest[:]) || c.Status.ClientID != ClientID(123) || c.Namespace != "team-0001" {
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
	e := &Etcd{url: gateway.URL}
	err := e.put(context.Background(), 250, func(int) (pair, error) { return pair{[]byte("k"), []byte("v")}, nil })
	if err != nil || transactions != 3 || pairs != 250 {
		t.Errorf("%d pairs in %d transactions, %v", pairs, transactions, err)
	}
}

func TestProcessorTimeOfAProcess(t *testing.T) {
	if _, err := ProcessorTime(os.Getpid()); err != nil {
		t.Error(err)
	}
}
