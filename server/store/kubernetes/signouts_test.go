package kubernetes_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/kubernetes"
	"github.com/latchkey-io/latchkey/server/store/storetest"
)

// signOutReplica is a SignOuts as one server process has it, counting what it writes.
type signOutReplica struct {
	*kubernetes.SignOuts
	writes atomic.Int64
}

func newIdleSignOutReplica(t *testing.T, namespace string) *signOutReplica {
	t.Helper()
	r := &signOutReplica{}
	var err error
	r.SignOuts, err = kubernetes.NewSignOuts(newConfig(t, cluster.RESTConfig(), namespace, nil, &r.writes))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newSignOutReplica starts a replica that follows the sign-outs.
func newSignOutReplica(t *testing.T, namespace string) *signOutReplica {
	t.Helper()
	r := newIdleSignOutReplica(t, namespace)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the replica is synced", func(context.Context) (bool, error) { return r.Synced(), nil })
	return r
}

func TestSignOutsConformance(t *testing.T) {
	storetest.RunSignOuts(t, func(t *testing.T) storetest.SignOutsHarness {
		namespace := newNamespace(t)
		return storetest.SignOutsHarness{SignOuts: newSignOutReplica(t, namespace), Replica: newSignOutReplica(t, namespace)}
	})
}

// A sign-out is one write, and one that is known already none.
func TestSignOutWrites(t *testing.T) {
	r := newSignOutReplica(t, newNamespace(t))
	o := storetest.NewSignOut()
	for range 3 {
		if err := r.Record(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// A sign-out that comes too late again and again is one of many, and all of them count.
func TestSignOutThatOthersPrecede(t *testing.T) {
	const others = 20
	namespace := newNamespace(t)
	other := newIdleSignOutReplica(t, namespace)
	o := storetest.NewSignOut()
	o.SessionID = ""
	if err := other.Record(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	left, at := others, o.At
	config := newConfig(t, cluster.RESTConfig(), namespace, nil, nil)
	config.OnWrite = func(verb string) {
		if verb != kubernetes.VerbPatch || left == 0 {
			return
		}
		left, at = left-1, at.Add(time.Second)
		if err := other.Record(t.Context(), signOutAt(o, at)); err != nil {
			t.Error(err)
		}
	}
	r, err := kubernetes.NewSignOuts(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), signOutAt(o, o.At.Add(time.Hour))); err != nil || left > 0 {
		t.Errorf("%v, with %d others left", err, left)
	}
}

func signOutAt(o *store.SignOut, at time.Time) *store.SignOut {
	later := *o
	later.At = at
	return &later
}

// Until all sign-outs have been read, nobody can say that a session is not over.
func TestSignOutsThatHaveNotBeenRead(t *testing.T) {
	r := newIdleSignOutReplica(t, newNamespace(t))
	if _, err := r.Over("default", "sid"); err == nil {
		t.Error("Over knows")
	}
	if _, err := r.SignedOutAt("default", "uid"); err == nil {
		t.Error("SignedOutAt knows")
	}
}

// An OAuthSignOut in a tenant's namespace is nobody's.
func TestTenantsOwnSignOut(t *testing.T) {
	namespace := newNamespace(t)
	r := newSignOutReplica(t, namespace)
	o := storetest.NewSignOut()
	if err := r.Record(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, cluster.RESTConfig())
	var list v1alpha1.OAuthSignOutList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	other := newNamespace(t)
	for _, item := range list.Items {
		if item.Namespace != namespace {
			continue
		}
		forged := item.DeepCopy()
		forged.ObjectMeta = metav1.ObjectMeta{Name: item.Name, Namespace: other}
		if err := c.Create(t.Context(), forged); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), &item); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the deletion is known", func(context.Context) (bool, error) {
		over, err := r.Over(o.AuthorizationServer, o.SessionID)
		return !over, err
	})
	fresh := newSignOutReplica(t, namespace)
	if over, err := fresh.Over(o.AuthorizationServer, o.SessionID); over || err != nil {
		t.Errorf("%t, %v", over, err)
	}
}

func TestSignOutThatIsRefused(t *testing.T) {
	r := newIdleSignOutReplica(t, "no-such-namespace")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Record(ctx, storetest.NewSignOut()); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
