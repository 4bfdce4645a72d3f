package controlplane

import (
	"errors"
	"fmt"
	"net"
)

// Ports are the loopback TCP ports of a control plane. Zero means any free one.
type Ports struct {
	APIServer, Etcd, EtcdPeer, ControllerManager int
}

// fixed reports whether the caller chose any of the ports, so that trying again with others is not ours to decide.
func (p Ports) fixed() bool { return p != Ports{} }

// fill chooses free ports for those that are zero.
func (p *Ports) fill() error {
	var missing []*int
	for _, port := range []*int{&p.APIServer, &p.Etcd, &p.EtcdPeer, &p.ControllerManager} {
		if *port == 0 {
			missing = append(missing, port)
		}
	}
	free, err := FreePorts(len(missing))
	if err != nil {
		return err
	}
	for i, port := range missing {
		*port = free[i]
	}
	return nil
}

// FreePorts returns n different TCP ports that nobody listened on at 127.0.0.1 a moment ago.
func FreePorts(n int) (ports []int, err error) {
	for range n {
		listener, listenErr := net.Listen("tcp4", "127.0.0.1:0")
		if listenErr != nil {
			return nil, listenErr
		}
		// Held until all are chosen, so that no port is chosen twice.
		defer func() { err = errors.Join(err, listener.Close()) }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
