package controllers

import (
	"testing"

	"github.com/latchkey-io/latchkey/server/listen/listentest"
)

// Rows: oversized input; slow clients: of the one listener of a controller.
func TestTheListenerOfAControllerBearsTheWorstOfClients(t *testing.T) {
	l := healthListener("", nil)
	if l.MaxConnections <= 0 || l.MaxConnections > 256 || l.MaxRequests <= 0 || l.MaxRequests > 64 {
		t.Errorf("%d connections, %d requests", l.MaxConnections, l.MaxRequests)
	}
	listentest.Run(t, listentest.Target{Listener: l, Path: "/metrics"})
}
