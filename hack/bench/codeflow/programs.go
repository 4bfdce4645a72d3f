package codeflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/latchkey-io/latchkey/hack/bench/flows"
	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// unlimited is a limit on requests that is counted and never reached: all of them come from one network and two clients.
const unlimited = "1000000:1000000"

// serve starts a server that keeps grants in a store, signs all users in at an issuer, and then keeps the server on a core.
func (b *bench) serve(ctx context.Context, store, issuer string, core int) (_ *site.Program, _ *flows.Site, cookies []string, err error) {
	server, err := b.StartServer(ctx, site.Server{
		Args: []string{"--store=" + store, "--limit-pages=" + unlimited, "--limit-clients=" + unlimited, "--limit-unproven=" + unlimited},
		Env:  []string{"GOMAXPROCS=1"},
		Started: func(pid int) error {
			return pinned.Pin(pid, core)
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

// startValkey starts what the machine has of Valkey or Redis, which writes nothing to disk.
func (b *bench) startValkey(ctx context.Context) (err error) {
	if b.valkey, err = pinned.FreeAddress(); err != nil {
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
	_, err = b.programs.Start(ctx, process.Options{
		Name: filepath.Base(program), Path: program, LogFile: filepath.Join(b.Dir, "valkey.log"),
		Args: []string{"--bind", "127.0.0.1", "--port", port, "--dir", b.Dir, "--save", "", "--appendonly", "no"},
	}, b.valkey, pinned.OtherCore)
	return err
}

// startCeiling starts the least that a server does, with the names of a site.
func (b *bench) startCeiling(ctx context.Context, like *flows.Site, sizes flows.Sizes, valkey string) (*flows.Site, error) {
	address, err := pinned.FreeAddress()
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
	_, err = b.programs.Start(ctx, process.Options{
		Name: "ceiling", Path: b.ceilingProgram, LogFile: filepath.Join(b.Dir, "ceiling.log"), Env: append(os.Environ(), "GOMAXPROCS=1"),
		Args: []string{"-site", string(siteJSON), "-sizes", string(sizesJSON), "-valkey", valkey},
	}, address, pinned.MeasuredCore)
	return &s, err
}

// peer is node-oidc-provider, if it is to take part.
func (b *bench) peer(ctx context.Context) ([]rounds.Contestant, error) {
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
	address := pinned.Loopback(ports[0])
	if _, err := b.programs.Start(ctx, provider.Options(ports[0], filepath.Join(b.Dir, "oidc-provider.log")), address, pinned.MeasuredCore); err != nil {
		return nil, err
	}
	s := &flows.Site{
		Address: address, Host: address, Authorize: "/auth", Token: "/token", ClientID: peers.ClientID, ClientSecret: peers.ClientSecret,
		RedirectURI: peers.RedirectURI, Scope: "openid " + peers.Scope, Resource: peers.ResourceES256,
	}
	cookies, err := signIn(ctx, s, rounds.Connections)
	if err != nil {
		return nil, err
	}
	return []rounds.Contestant{{Name: "node-oidc-provider " + provider.Version, Dial: s.Dialer(cookies, rounds.Connections)}}, nil
}

// profiled compares, and keeps a profile of the server's processor time if there is a directory for it.
func (b *bench) profiled(ctx context.Context, server *site.Program, name string, contestants []rounds.Contestant) ([]rounds.Standing, error) {
	standings, err := b.rules().Compare(ctx, contestants)
	if err != nil || b.Profiles == "" {
		return standings, err
	}
	return standings, server.Profile(ctx, filepath.Join(b.Profiles, name+".pprof"), b.Turn, func() error {
		_, err := b.rules().Take(ctx, &contestants[1])
		return err
	})
}
