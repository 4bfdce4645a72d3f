package valkey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

func TestPurgeDeletesTheGrantsOfAClientAndNoOthers(t *testing.T) {
	nodes := valkeyserver.StartCluster(t, 3)
	s := open(t, valkey.Config{Addresses: []string{nodes[0].Address}})
	of := func(client string) *store.Grant {
		g := storetest.NewGrant()
		g.ClientUID = client
		if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
			t.Fatal(err)
		}
		return g
	}
	other := of("other")
	var grants []*store.Grant
	for range 700 { // more than a page
		grants = append(grants, of("gone"))
	}
	if err := s.Purge(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	for _, g := range grants {
		if _, err := s.Get(t.Context(), g.ID); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a grant of the client: %v", err)
		}
	}
	if _, err := s.Get(t.Context(), other.ID); err != nil {
		t.Errorf("a grant of another client: %v", err)
	}
	for _, n := range nodes {
		if keys := n.Do(t, "KEYS", "latchkey:client:{gone}"); keys != "[]" {
			t.Errorf("the index of the client is left: %s", keys)
		}
	}
	if err := s.Create(t.Context(), grants[0], store.NoLimit); !errors.Is(err, store.ErrExists) {
		t.Errorf("a code whose grant was purged is honoured again: %v", err)
	}
}

func TestEachFindsEveryGrantOnce(t *testing.T) {
	nodes := valkeyserver.StartCluster(t, 3)
	s := open(t, valkey.Config{Addresses: []string{nodes[0].Address}, Prefix: "site:"})
	want := map[string]int{}
	for range 700 {
		want[create(t, s).ID] = 1
	}
	deleted := create(t, s)
	if err := s.Delete(t.Context(), deleted.ID); err != nil {
		t.Fatal(err)
	}
	create(t, open(t, valkey.Config{Addresses: []string{nodes[0].Address}})) // another site's, on the same server
	err := s.Each(t.Context(), func(g *store.Grant) error {
		want[g.ID]--
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, n := range want {
		if n != 0 {
			t.Errorf("%s was told of %d times", id, 1-n)
		}
	}
}

// What indexes name and is not there, as after a crash between the two writes, is passed over.
func TestFindPassesOverWhatIsNotThere(t *testing.T) {
	server, config := alone(t)
	s := open(t, config)
	g := create(t, s)
	q := store.Query{AuthorizationServer: g.AuthorizationServer, SessionID: g.SessionID}
	index := "latchkey:session:{" + g.AuthorizationServer + "/" + g.SessionID + "}"
	server.Do(t, "ZADD", index, "99999999999", "neverwritten/"+g.ClientUID)
	if found, err := s.Find(t.Context(), q); err != nil || len(found) != 1 || found[0].ID != g.ID {
		t.Errorf("%v, %v", found, err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	server, config := alone(t)
	check := func(config valkey.Config) error {
		s, err := valkey.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s.Check(t.Context())
	}
	if err := check(config); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	replica := valkeyserver.Start(t, valkeyserver.Options{ReplicaOf: server})
	server.Do(t, "CONFIG", "SET", "maxmemory", "100mb")
	server.Do(t, "CONFIG", "SET", "maxmemory-policy", "volatile-lru")
	limited := valkeyserver.Start(t, valkeyserver.Options{User: "latchkey on >secret ~* &* +@all -wait -eval -set"})
	for name, test := range map[string]struct {
		config valkey.Config
		want   string
	}{
		"evicts":           {config, "noeviction"},
		"a replica":        {valkey.Config{Addresses: []string{replica.Address}}, "it is a replica"},
		"a wrong password": {valkey.Config{Addresses: []string{limited.Address}, Username: "latchkey", Password: "wrong"}, "WRONGPASS"},
		"no permission":    {valkey.Config{Addresses: []string{limited.Address}, Username: "latchkey", Password: "secret"}, "NOPERM"},
		"nobody there":     {valkey.Config{Addresses: []string{"127.0.0.1:1"}}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := check(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A grant that is refreshed for months is found for as long.
func TestTheIndexesFollowARotation(t *testing.T) {
	now := time.Now()
	_, config := alone(t)
	config.Now = func() time.Time { return now }
	s := open(t, config)
	g := create(t, s)
	for generation := int64(1); generation < 20; generation++ {
		next, err := s.Rotate(t.Context(), g.ID, generation, now, now.Add(10*time.Minute).Truncate(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		now = next.ExpiresAt.Add(-time.Second)
	}
	found, err := s.Find(t.Context(), store.Query{AuthorizationServer: g.AuthorizationServer, SessionID: g.SessionID})
	if err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}
