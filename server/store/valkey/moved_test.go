package valkey_test

import (
	"strconv"
	"testing"

	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// A write whose slot is at another node than it was goes there at once.
func TestAWriteFollowsASlotThatHasMoved(t *testing.T) {
	nodes := valkeyserver.StartCluster(t, 3)
	s := open(t, valkey.Config{Addresses: []string{nodes[0].Address}})
	create(t, s)
	last := nodes[len(nodes)-1] // its epoch is the greatest, so that no news of before takes a slot from it
	id := last.Do(t, "CLUSTER", "MYID")
	for range 10 {
		g, key, slot := grantElsewhere(t, last)
		for _, n := range append([]*valkeyserver.Server{last}, nodes...) {
			n.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", id)
		}
		if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
			t.Errorf("slot %s: %v", slot, err)
		}
		if last.Do(t, "EXISTS", key) != "1" {
			t.Errorf("slot %s: the grant is not where its slot is now", slot)
		}
	}
}

// grantElsewhere makes a grant whose slot the last node of three does not have.
func grantElsewhere(t *testing.T, last *valkeyserver.Server) (g *store.Grant, key, slot string) {
	for {
		g := storetest.NewGrant()
		key := "latchkey:grant:{" + g.ID + "}"
		slot := last.Do(t, "CLUSTER", "KEYSLOT", key)
		if n, err := strconv.Atoi(slot); err != nil {
			t.Fatal(err)
		} else if n < valkeyserver.Slots/3*2 {
			return g, key, slot
		}
	}
}
