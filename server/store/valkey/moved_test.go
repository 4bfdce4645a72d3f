package valkey_test

import (
	"fmt"
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
	for range 10 {
		g := storetest.NewGrant()
		key := "latchkey:grant:{" + g.ID + "}"
		slot, err := strconv.Atoi(nodes[0].Do(t, "CLUSTER", "KEYSLOT", key))
		if err != nil {
			t.Fatal(err)
		}
		next := nodes[(slot*len(nodes)/valkeyserver.Slots+1)%len(nodes)]
		id := next.Do(t, "CLUSTER", "MYID")
		for _, n := range append([]*valkeyserver.Server{next}, nodes...) {
			n.Do(t, "CLUSTER", "SETSLOT", fmt.Sprint(slot), "NODE", id)
		}
		if err := s.Create(t.Context(), g, store.NoLimit); err != nil {
			t.Errorf("slot %d: %v", slot, err)
		}
		if next.Do(t, "EXISTS", key) != "1" {
			t.Errorf("slot %d: the grant is not where its slot is now", slot)
		}
	}
}
