package valkeyserver

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MasterName is the name of the set that StartSentinel watches.
const MasterName = "grants"

// StartSentinel starts a Sentinel that watches the primary, and makes a replica of it the primary when it is away for half a
// second.
func StartSentinel(t testing.TB, primary *Server) *Server {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	host, at, _ := net.SplitHostPort(primary.Address)
	file := filepath.Join(dir, "sentinel.conf")
	lines := []string{
		"bind 127.0.0.1", "port " + port, "dir " + dir,
		fmt.Sprintf("sentinel monitor %s %s %s 1", MasterName, host, at),
		fmt.Sprintf("sentinel down-after-milliseconds %s 500", MasterName),
		fmt.Sprintf("sentinel failover-timeout %s 3000", MasterName),
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, port, []string{file, "--sentinel"}, nil)
	s.await(t, "it knows the replicas", func() bool {
		return !strings.Contains(s.Do(t, "INFO", "sentinel"), "slaves=0")
	})
	return s
}

// Slots is how many hash slots a Cluster has.
const Slots = 16384

// StartCluster starts a Cluster of that many primaries, without replicas, and returns once it takes requests.
func StartCluster(t testing.TB, primaries int) []*Server {
	t.Helper()
	var nodes []*Server
	for i := range primaries {
		s := Start(t, Options{Args: []string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", freePort(t), "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
		}})
		s.Do(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*Slots/primaries), fmt.Sprint((i+1)*Slots/primaries-1))
		// Nodes with one epoch settle later whose is greater, and what was said before may then outdo what has changed since.
		s.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		nodes = append(nodes, s)
	}
	for _, s := range nodes[1:] {
		nodes[0].meet(t, s)
	}
	for _, s := range nodes {
		s.await(t, "the cluster is whole", func() bool {
			info := s.Do(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d", primaries))
		})
	}
	return nodes
}

// AddReplica starts a node of the Cluster that follows the primary, which is one of the nodes, and returns once all of them know it:
// whoever doesn't would not vote for it.
func AddReplica(t testing.TB, primary *Server, nodes []*Server) *Server {
	t.Helper()
	s := Start(t, Options{Args: []string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", freePort(t), "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
	}})
	for _, node := range nodes { // gossip alone may take longer than a test
		node.meet(t, s)
	}
	id := primary.Do(t, "CLUSTER", "MYID")
	s.await(t, "it knows its primary", func() bool { return strings.Contains(s.Do(t, "CLUSTER", "NODES"), id) })
	s.await(t, "it may follow", func() bool {
		_, err := s.try("CLUSTER", "REPLICATE", id)
		return err == nil
	})
	s.awaitFollowing(t, primary)
	own := s.Do(t, "CLUSTER", "MYID")
	for _, node := range nodes {
		node.await(t, "it knows the replica", func() bool {
			for line := range strings.Lines(node.Do(t, "CLUSTER", "NODES")) {
				if strings.Contains(line, own+" ") && strings.Contains(line, "slave "+id) {
					return true
				}
			}
			return false
		})
	}
	return s
}

// meet lets a node get to know another.
func (s *Server) meet(t testing.TB, other *Server) {
	t.Helper()
	host, port, _ := net.SplitHostPort(other.Address)
	bus := ""
	for i, arg := range other.args {
		if arg == "--cluster-port" {
			bus = other.args[i+1]
		}
	}
	s.Do(t, "CLUSTER", "MEET", host, port, bus)
}
