package main

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// defaultPortBase is also what config/samples is written for.
const defaultPortBase = 20000

// site is one checkout with its ports and paths. Everything that is written lies in the state directory, by default
// .local: with another one, and other ports, several environments of one checkout run side by side.
type site struct {
	root, state string
	base        int
	// outboundCA is a PEM file with more authorities to trust at clients' own URLs, or empty.
	outboundCA string
}

func newSite(portBase int, state string) (site, error) {
	root, err := build.Root()
	if err != nil {
		return site{}, err
	}
	if state == "" {
		state = filepath.Join(root, ".local")
	}
	state, err = filepath.Abs(state)
	return site{root: root, state: state, base: portBase}, err
}

// Offsets from the port base.
const (
	offsetHTTPS = iota
	offsetHTTP
	offsetReview
	offsetServerHealth
	offsetControllerHealth
	offsetPrintShop
	offsetPhotos
	offsetAPIServer         = 10
	offsetEtcd              = 11
	offsetEtcdPeer          = 12
	offsetControllerManager = 13
)

func (s site) port(offset int) int { return s.base + offset }

func (s site) address(offset int) string { return fmt.Sprintf("127.0.0.1:%d", s.port(offset)) }

// Addresses as the samples and a browser name them.
func (s site) httpsIssuer() string { return fmt.Sprintf("https://localhost:%d", s.port(offsetHTTPS)) }
func (s site) httpIssuer() string  { return fmt.Sprintf("http://localhost:%d", s.port(offsetHTTP)) }
func (s site) printShop() string   { return fmt.Sprintf("http://localhost:%d", s.port(offsetPrintShop)) }
func (s site) photos() string      { return fmt.Sprintf("http://localhost:%d", s.port(offsetPhotos)) }
func (s site) metrics() string     { return "http://" + s.address(offsetServerHealth) + "/metrics" }

func (s site) review() string {
	return "https://" + s.address(offsetReview) + "/apis/authentication.k8s.io/v1/tokenreviews"
}

func (s site) controlPlanePorts() controlplane.Ports {
	return controlplane.Ports{
		APIServer:         s.port(offsetAPIServer),
		Etcd:              s.port(offsetEtcd),
		EtcdPeer:          s.port(offsetEtcdPeer),
		ControllerManager: s.port(offsetControllerManager),
	}
}

// path is below the state directory.
func (s site) path(parts ...string) string {
	return filepath.Join(append([]string{s.state}, parts...)...)
}

// use is what a port is for, in a message.
type use struct {
	offset int
	what   string
}

func controlPlaneUses() []use {
	return []use{
		{offsetAPIServer, "kube-apiserver"}, {offsetEtcd, "etcd"}, {offsetEtcdPeer, "etcd's peers"},
		{offsetControllerManager, "kube-controller-manager"},
	}
}

func environmentUses() []use {
	return append([]use{
		{offsetHTTPS, "the https issuer"}, {offsetHTTP, "the http issuer"}, {offsetReview, "token reviews"},
		{offsetServerHealth, "the server's health"}, {offsetControllerHealth, "the controller's health"},
		{offsetPrintShop, "the print-shop"}, {offsetPhotos, "the photos API"},
	}, controlPlaneUses()...)
}

// checkPorts finds out before anything starts whether all ports are free.
func (s site) checkPorts(uses []use) error {
	var taken []string
	for _, u := range uses {
		listener, err := net.Listen("tcp4", s.address(u.offset))
		if err != nil {
			taken = append(taken, fmt.Sprintf("%d (%s)", s.port(u.offset), u.what))
			continue
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	if len(taken) == 0 {
		return nil
	}
	return fmt.Errorf("these ports on 127.0.0.1 are in use: %s; choose others with PORT_BASE, for example PORT_BASE=%d",
		strings.Join(taken, ", "), s.base+1000)
}

// portOf is the port of the https issuer, which is the first of all.
func portOf(issuer string) (int, error) {
	address, err := url.Parse(issuer)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(address.Port())
}
