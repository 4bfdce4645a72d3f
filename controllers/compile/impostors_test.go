package compile

import (
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// asking counts the questions of a compilation.
type asking struct {
	World
	questions int
}

func (a *asking) AuthorizationServer(name string) *v1alpha1.AuthorizationServer {
	a.questions++
	return a.World.AuthorizationServer(name)
}

func (a *asking) AuthorizationServers() []*v1alpha1.AuthorizationServer {
	a.questions++
	return a.World.AuthorizationServers()
}

// TestImpostorsCostNothing: a namespace that claims another's identifier a thousand times, before it, gets none of it, and must not
// make each compilation of that and of its clients a thousand times as dear.
func TestImpostorsCostNothing(t *testing.T) {
	questions := func(impostors int) int {
		m := newMemory(t)
		for n := range impostors {
			m.addResource(t, "web", fmt.Sprint("impostor-", n), `{identifier: "https://orders.shop.svc"}`)
		}
		owner := m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc"}`)
		w := &asking{World: m}
		if r, p := ResourceServer(w, owner); r["default"] == nil {
			t.Fatalf("the owner's claim is refused: %v", p)
		}
		return w.questions
	}
	if alone, among := questions(0), questions(1000); among > alone+2 {
		t.Errorf("%d questions instead of %d", among, alone)
	}
}
