package lookup

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/latchkey-io/latchkey/server/store"
)

func grant(id, user, session string) *store.Grant {
	return &store.Grant{ID: id, AuthorizationServer: "default", UserUID: user, ClientUID: "client-" + id, SessionID: session}
}

func wantFound(t *testing.T, x *Index, q store.Query, want ...string) {
	t.Helper()
	q.AuthorizationServer = "default"
	grants, err := x.Find(q)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range grants {
		got = append(got, g.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%+v: got %v, want %v", q, got, want)
	}
}

func wantCount(t *testing.T, x *Index, user string, want int) {
	t.Helper()
	if got := x.Count(user); got != want {
		t.Errorf("user %s: %d grants are counted, want %d", user, got, want)
	}
}

// Grants are taken out from the front, the middle and the end of a list, and put back.
func TestReplace(t *testing.T) {
	var x Index
	grants := map[string]*store.Grant{"a": grant("a", "u", "s"), "b": grant("b", "u", "s"), "c": grant("c", "u", "s"), "d": grant("d", "v", "")}
	nodes := map[string]*Node{}
	for id, g := range grants {
		nodes[id] = &Node{}
		x.Replace(nodes[id], g)
	}
	wantCount(t, &x, "u", 3)
	wantCount(t, &x, "v", 1)
	wantFound(t, &x, store.Query{UserUID: "u"}, "a", "b", "c")
	wantFound(t, &x, store.Query{SessionID: "s"}, "a", "b", "c")
	wantFound(t, &x, store.Query{SessionID: "s", ClientUID: "client-b"}, "b")
	wantFound(t, &x, store.Query{UserUID: "v", SessionID: "s"})
	for _, id := range []string{"a", "b", "c"} {
		rest := slices.DeleteFunc([]string{"a", "b", "c"}, func(other string) bool { return other == id })
		x.Replace(nodes[id], nil)
		wantFound(t, &x, store.Query{UserUID: "u"}, rest...)
		wantFound(t, &x, store.Query{SessionID: "s"}, rest...)
		wantCount(t, &x, "u", 2)
		x.Replace(nodes[id], grants[id])
	}
	revoked := *grants["b"]
	revoked.RevokedAt = time.Unix(1, 0)
	x.Replace(nodes["b"], &revoked)
	wantFound(t, &x, store.Query{UserUID: "u"}, "a", "c")
	moved := grant("a", "v", "other")
	x.Replace(nodes["a"], moved)
	wantCount(t, &x, "u", 1)
	wantCount(t, &x, "v", 2)
	wantFound(t, &x, store.Query{UserUID: "u"}, "c")
	wantFound(t, &x, store.Query{UserUID: "v"}, "a", "d")
	wantFound(t, &x, store.Query{SessionID: "other"}, "a")
	for _, id := range []string{"a", "c", "d"} {
		x.Replace(nodes[id], nil)
	}
	for w := range ways {
		if len(x.lists[w]) != 0 {
			t.Errorf("%d lists are left behind", len(x.lists[w]))
		}
	}
}

// What a user granted before is held once, and what differs is left as it is.
func TestAlikeIsHeldOnce(t *testing.T) {
	var x Index
	scopes := func(names ...string) []string { return append([]string(nil), names...) }
	make := func(id string, at ...string) *store.Grant {
		g := grant(id, "u", strings.Clone("s"))
		g.Scopes, g.UserinfoClaims, g.Targets = scopes("openid", "email"), scopes("name"), []store.Target{{Resource: "photos", Scopes: scopes(at...)}}
		return g
	}
	first, alike, other := make("a", "read"), make("b", "read"), make("c", "read", "write")
	for _, g := range []*store.Grant{first, alike, other} {
		x.Replace(&Node{}, g)
	}
	if unsafe.StringData(alike.SessionID) != unsafe.StringData(first.SessionID) || &alike.Scopes[0] != &first.Scopes[0] || &alike.Targets[0] != &first.Targets[0] {
		t.Error("what is equal is held twice")
	}
	want := make("c", "read", "write")
	if !reflect.DeepEqual(other, want) {
		t.Errorf("got %+v, want %+v", other, want)
	}
}

func TestAnInvalidQueryIsAnError(t *testing.T) {
	var x Index
	x.Replace(&Node{}, grant("a", "", ""))
	for _, q := range []store.Query{{}, {AuthorizationServer: "default"}, {AuthorizationServer: "default", ClientUID: "client-a"}, {UserUID: "u"}} {
		if found, err := x.Find(q); err == nil {
			t.Errorf("%+v: %v", q, found)
		}
	}
}

// Whoever looks while a grant is replaced finds it, once.
func TestReplaceIsAllAtOnce(t *testing.T) {
	var x Index
	g := grant("a", "u", "s")
	var node Node
	x.Replace(&node, g)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, q := range []store.Query{{UserUID: "u"}, {SessionID: "s"}} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					wantFound(t, &x, q, "a")
				}
			}
		})
	}
	for i := range 2000 {
		next := *g
		next.Generation = int64(i)
		x.Replace(&node, &next)
	}
	close(done)
	wg.Wait()
}

// manyGrants is as many as a busy site has alive, ten of each user, each of a session of its own.
const manyGrants = 100_000

func filled() (*Index, []*Node) {
	x, nodes := &Index{}, make([]*Node, manyGrants)
	for i := range nodes {
		nodes[i] = &Node{}
		x.Replace(nodes[i], grant(fmt.Sprint(i), fmt.Sprint("user-", i/10), fmt.Sprint("session-", i)))
	}
	return x, nodes
}

func BenchmarkFind(b *testing.B) {
	x, _ := filled()
	for name, q := range map[string]store.Query{
		"of a user": {UserUID: "user-7777"}, "of a user at a client": {UserUID: "user-7777", ClientUID: "client-77777"}, "of a session": {SessionID: "session-77777"},
	} {
		q.AuthorizationServer = "default"
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if found, err := x.Find(q); err != nil || len(found) == 0 {
						b.Error(found, err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkReplaceOfOneUser is a rotation of a grant of somebody who has all of them.
func BenchmarkReplaceOfOneUser(b *testing.B) {
	var x Index
	nodes := make([]*Node, manyGrants)
	for i := range nodes {
		nodes[i] = &Node{}
		x.Replace(nodes[i], grant(fmt.Sprint(i), "robot", "session"))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		x.Replace(nodes[i], nodes[i].grant)
		i = (i + 1) % manyGrants
	}
}

// BenchmarkMemory is what the index holds for each grant, beside the grant.
func BenchmarkMemory(b *testing.B) {
	grants := make([]*store.Grant, manyGrants)
	for i := range grants {
		grants[i] = grant(fmt.Sprint(i), fmt.Sprint("user-", i/10), fmt.Sprint("session-", i))
	}
	for b.Loop() {
		before := heap()
		x := &Index{}
		for _, g := range grants {
			x.Replace(&Node{}, g)
		}
		b.ReportMetric(float64(heap()-before)/manyGrants, "B/grant")
		runtime.KeepAlive(x)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
