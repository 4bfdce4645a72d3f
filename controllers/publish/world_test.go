package publish

import (
	"context"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/registry"
)

// empty is a cluster in which nothing is left.
type empty struct{ client.Reader }

func (empty) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

func (empty) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

// TestNothingIsKeptOfWhatIsGone: whoever may create and delete objects all day long must not fill the memory of every server.
func TestNothingIsKeptOfWhatIsGone(t *testing.T) {
	w := newWorld()
	for _, k := range []kind{kindAuthorizationServer, kindResourceServer, kindOAuthClient, kindLocalUser} {
		for n := range 10 {
			gone := dependency{k, "tenant", fmt.Sprint("gone-", n)}
			if k == kindAuthorizationServer || k == kindLocalUser {
				gone.namespace = ""
			}
			w.update(compile.NewReader(t.Context(), empty{}, "latchkey-system"), []dependency{gone})
		}
		if u := &w.units; len(u.byID) != 0 || len(u.sets) != 0 || len(u.dependants) != 0 {
			t.Fatalf("kind %d: %d units, %d sets and %d depended on are kept", k, len(u.byID), len(u.sets), len(u.dependants))
		}
	}
}

// What is remembered of clients and users that are gone is bounded: whoever may create and delete them all day long does.
func TestWhatIsGoneIsForgottenInTheEnd(t *testing.T) {
	var issuer *registry.Issuer
	const each = maxGone / 10
	for i := range 30 {
		e := newEdit(issuer)
		for n := range each {
			e.remove(&registry.Client{UID: fmt.Sprint(i, "-", n)})
		}
		issuer = e.apply()
		if n := issuer.Gone.Len(); n > maxGone {
			t.Fatalf("%d are remembered", n)
		}
		if _, ok := issuer.Gone.Get(fmt.Sprint(i, "-", each-1)); !ok {
			t.Fatal("one that has just gone is forgotten")
		}
	}
}
