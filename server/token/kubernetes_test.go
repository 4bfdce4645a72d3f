package token

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestKubernetesUserIsNamedAfterWhomTheTokenIsFor(t *testing.T) {
	var (
		user   = &registry.User{Name: "alice", UID: "uid-alice", Groups: []string{"family", "buyers"}}
		client = &registry.Client{Namespace: "demo", Name: "print-shop", UID: "uid-print-shop"}
		pod    = &Workload{Namespace: "demo", Name: "resizer", UID: "uid-resizer"}
	)
	for name, test := range map[string]struct {
		user     *registry.User
		workload *Workload
		want     KubernetesUser
	}{
		"a user":                    {user, nil, KubernetesUser{"alice", "uid-alice", []string{"family", "buyers"}, []string{"demo.api"}}},
		"a client in its own right": {nil, nil, KubernetesUser{"client:demo:print-shop", "uid-print-shop", nil, []string{"demo.api"}}},
		"a workload":                {nil, pod, KubernetesUser{"serviceaccount:demo:resizer", "uid-resizer", nil, []string{"demo.api"}}},
	} {
		got, err := NewKubernetesUser(test.user, test.workload, client, []string{"demo.api"})
		if err != nil || !reflect.DeepEqual(*got, test.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestKubernetesUserThatCouldBeMistakenForAnother(t *testing.T) {
	for name, user := range map[string]*registry.User{
		"a client's name":      {Name: "client:demo:print-shop", UID: "uid"},
		"no name":              {UID: "uid"},
		"a group without name": {Name: "alice", UID: "uid", Groups: []string{"family", ""}},
	} {
		if got, err := NewKubernetesUser(user, nil, nil, nil); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got, err := NewKubernetesUser(nil, nil, nil, nil); err == nil {
		t.Errorf("nobody: %+v", got)
	}
}

// A token that Latchkey itself would not look at is worth nothing to anybody.
func TestKubernetesClaimFitsIntoATokenThatIsLookedAt(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	a.Scopes = append(a.Scopes, strings.Repeat("s", 1<<10))
	for range 4 {
		a.Via = append(a.Via, a.Shown())
	}
	a.Via[0].Scope, a.Via[1].Scope, a.Via[2].Scope, a.Via[3].Scope = "a", "b", "c", "d"
	user := &KubernetesUser{Username: "alice", UID: registrytest.AliceUID}
	for n := 0; user.Fits() == nil; n++ {
		a.Kubernetes = &KubernetesUser{user.Username, user.UID, user.Groups, nil}
		user.Groups = append(user.Groups, fmt.Sprintf("group-%d", n))
	}
	if len(a.Kubernetes.Groups) < 100 {
		t.Errorf("%d groups fit", len(a.Kubernetes.Groups))
	}
	if raw := f.sign(t, a); len(raw) > maxLength {
		t.Errorf("the token has %d bytes", len(raw))
	}
}
