package kubernetes_test

import (
	"context"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/server/store"
)

// A replica that starts reads all grants, before it says that it is synced.
func TestAReplicaThatStartsReadsEveryPage(t *testing.T) {
	namespace := newNamespace(t)
	writer := newReplica(t, cluster, namespace, nil, nil)
	const n = 510
	var group errgroup.Group
	group.SetLimit(16)
	session := newGrant(t)
	for range n {
		g := newGrant(t)
		group.Go(func() error { return writer.Create(context.Background(), g, store.NoLimit) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	started := newReplica(t, cluster, namespace, nil, nil)
	query := store.Query{AuthorizationServer: session.AuthorizationServer, SessionID: session.SessionID}
	if found, err := started.Find(t.Context(), query); err != nil || len(found) != n { // from memory alone
		t.Errorf("%d grants, %v", len(found), err)
	}
}
