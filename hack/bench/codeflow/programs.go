package codeflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/flows"
	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

const (
	// grace is how long a program may take to end, patience how long to listen.
	grace    = 5 * time.Second
	patience = 30 * time.Second
	// unlimited is a limit on requests that is counted and never reached: all of them come from one network and two clients.
	unlimited = "1000000:1000000"
)

// serve starts a server that keeps grants in a store, signs all users in at an issuer, and then keeps the server on a core.
func (b *bench) serve(ctx context.Context, store, issuer string, core int) (_ *site.Program, _ *flows.Site, cookies []string, err error) {
	server, err := b.StartServer(ctx, site.Server{
		Args: []string{"--store=" + store, "--limit-pages=" + unlimited, "--limit-clients=" + unlimited, "--limit-unproven=" + unlimited},
		Env:  []string{"GOMAXPROCS=1"},
		Started: func(pid int) error {
			return pin(pid, core)
		},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	s, err := b.latchkey(ctx, issuer)
	if err == nil {
		cookies, err = signIn(ctx, s, users)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, server.Close())
	}
	return server, s, cookies, nil
}

// start runs a program on the core of what is measured, until the run ends, and returns once it listens.
func (b *bench) start(ctx context.Context, o process.Options, address string, core int) error {
	p, err := process.Start(o)
	if err != nil {
		return err
	}
	b.running = append(b.running, p)
	if err := pin(p.PID(), core); err != nil {
		return err
	}
	return site.Poll(ctx, patience, 10*time.Millisecond, func(context.Context) (bool, error) {
		if !p.Running() {
			return false, p.Failure()
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return true, conn.Close()
	})
}

// freeAddress is one on loopback.
func freeAddress() (string, error) {
	ports, err := site.FreePorts(1)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), nil
}

// startValkey starts what the machine has of Valkey or Redis, which writes nothing to disk.
func (b *bench) startValkey(ctx context.Context) (err error) {
	if b.valkey, err = freeAddress(); err != nil {
		return err
	}
	program, err := exec.LookPath("valkey-server")
	if err != nil {
		program, err = exec.LookPath("redis-server")
	}
	if err != nil {
		return fmt.Errorf("neither valkey-server nor redis-server is installed; `make prerequisites` does that, where it can: %w", err)
	}
	_, port, err := net.SplitHostPort(b.valkey)
	if err != nil {
		return err
	}
	return b.start(ctx, process.Options{
		Name: filepath.Base(program), Path: program, LogFile: filepath.Join(b.Dir, "valkey.log"),
		Args: []string{"--bind", "127.0.0.1", "--port", port, "--dir", b.Dir, "--save", "", "--appendonly", "no"},
	}, b.valkey, otherCore)
}

// startCeiling starts the least that a server does, with the names of a site.
func (b *bench) startCeiling(ctx context.Context, like *flows.Site, sizes flows.Sizes, valkey string) (*flows.Site, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := *like
	s.Address, s.Host = address, address
	siteJSON, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sizesJSON, err := json.Marshal(sizes)
	if err != nil {
		return nil, err
	}
	return &s, b.start(ctx, process.Options{
		Name: "ceiling", Path: b.ceilingProgram, LogFile: filepath.Join(b.Dir, "ceiling.log"), Env: append(os.Environ(), "GOMAXPROCS=1"),
		Args: []string{"-site", string(siteJSON), "-sizes", string(sizesJSON), "-valkey", valkey},
	}, address, measuredCore)
}

// peer is node-oidc-provider, if it is to take part.
func (b *bench) peer(ctx context.Context) ([]contestant, error) {
	if !b.Peers {
		return nil, nil
	}
	provider, err := peers.InstallOIDCProvider(ctx, b.root)
	if err != nil {
		return nil, err
	}
	ports, err := site.FreePorts(1)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	if err := b.start(ctx, provider.Options(ports[0], filepath.Join(b.Dir, "oidc-provider.log")), address, measuredCore); err != nil {
		return nil, err
	}
	s := &flows.Site{
		Address: address, Host: address, Authorize: "/auth", Token: "/token", ClientID: peers.ClientID, ClientSecret: peers.ClientSecret,
		RedirectURI: peers.RedirectURI, Scope: "openid " + peers.Scope, Resource: peers.ResourceES256,
	}
	cookies, err := signIn(ctx, s, connections)
	if err != nil {
		return nil, err
	}
	return []contestant{{name: "node-oidc-provider " + provider.Version, dial: s.Dialer(cookies, connections)}}, nil
}

// profiled compares, and keeps a profile of the server's processor time if there is a directory for it.
func (b *bench) profiled(ctx context.Context, server *site.Program, name string, contestants []contestant) ([]standing, error) {
	standings, err := b.compare(ctx, contestants)
	if err != nil || b.Profiles == "" {
		return standings, err
	}
	if err := os.MkdirAll(b.Profiles, 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(b.Profiles, name+".pprof"))
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- profile(ctx, server, b.Turn, file) }()
	_, err = b.turn(ctx, &contestants[1])
	return standings, errors.Join(err, <-done, file.Close())
}

// profile takes a profile of processor time.
func profile(ctx context.Context, server *site.Program, turn time.Duration, w io.Writer) error {
	seconds := max(1, int(turn/time.Second))
	status, err := site.Get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", server.Health, seconds), w)
	if err == nil && status != 200 {
		err = fmt.Errorf("profile: status %d", status)
	}
	return err
}
