// Package valkeyserver runs the machine's own valkey-server or redis-server on free loopback ports, for tests: alone, with
// replicas, watched by Sentinels, or as a Cluster; with TLS and ACL users. What it starts ends with the test, and with the test
// process, however that ends.
package valkeyserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
)

// patience bounds how long a server may take to do something.
const patience = 20 * time.Second

// Options says how a server is to be.
type Options struct {
	// TLS is nil for a server that speaks plain TCP.
	TLS *Certificates
	// User is a line of an ACL, such as "latchkey on >secret ~* +@all": with it, nobody comes in as the default user.
	User string
	// ReplicaOf is the server to follow, nil for a primary.
	ReplicaOf *Server
	// Args are further ones of the program.
	Args []string
}

// Server is a running server.
type Server struct {
	// Address is where it is, a loopback address with port.
	Address string
	path    string
	args    []string
	dir     string
	tls     *tls.Config
	process *process.Process
}

// Start starts a server and returns once it answers.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	port := freePort(t)
	dir := t.TempDir()
	args := []string{
		"--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb",
	}
	if o.TLS == nil {
		args = append(args, "--port", port)
	} else {
		args = append(args, "--port", "0", "--tls-port", port, "--tls-replication", "yes", "--tls-auth-clients", "no",
			"--tls-ca-cert-file", o.TLS.CAFile, "--tls-cert-file", o.TLS.CertFile, "--tls-key-file", o.TLS.KeyFile)
	}
	if o.User != "" {
		args = append(args, "--aclfile", writeUsers(t, dir, o.User))
	}
	if o.ReplicaOf != nil {
		host, port, _ := net.SplitHostPort(o.ReplicaOf.Address)
		args = append(args, "--replicaof", host, port)
	}
	s := start(t, dir, port, append(args, o.Args...), o.TLS.client())
	if o.ReplicaOf != nil {
		s.awaitFollowing(t, o.ReplicaOf)
	}
	return s
}

// awaitFollowing returns once the primary counts the server among its replicas.
func (s *Server) awaitFollowing(t testing.TB, primary *Server) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Address)
	s.await(t, "it follows its primary", func() bool {
		return strings.Contains(primary.Do(t, "INFO", "replication"), "port="+port+",state=online")
	})
}

// administrator is the user that Do acts as where there are users.
const administrator = "admin"

// writeUsers makes the file with the users of a server.
func writeUsers(t testing.TB, dir, user string) string {
	t.Helper()
	file := filepath.Join(dir, "users.acl")
	lines := "user " + administrator + " on nopass ~* &* +@all\nuser default off\nuser " + user + "\n"
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func start(t testing.TB, dir, port string, args []string, tls *tls.Config) *Server {
	t.Helper()
	s := &Server{Address: net.JoinHostPort("127.0.0.1", port), path: program(t), args: args, dir: dir, tls: tls}
	s.Restart(t)
	t.Cleanup(func() { s.Kill(t) })
	return s
}

// program is the server that the machine has.
func program(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"valkey-server", "redis-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("neither valkey-server nor redis-server is installed; `make prerequisites` does that, where it can")
	return ""
}

// Restart starts a server again that was stopped or killed, at the same address and with nothing in it.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	var err error
	s.process, err = process.Start(process.Options{Name: filepath.Base(s.path), Path: s.path, Args: s.args, LogFile: filepath.Join(s.dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, "it answers", func() bool {
		if !s.process.Running() {
			t.Fatal(s.process.Failure())
		}
		_, err := s.try("PING")
		return err == nil
	})
}

// Kill ends the server at once. Nothing of what it holds is written anywhere.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.Resume(t) // one that is paused does not end
	if err := s.process.Stop(0); err != nil {
		t.Error(err)
	}
}

// Pause stops the server without ending its connections, as when a machine hangs; Resume lets it go on.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if !s.process.Running() {
		return
	}
	if err := syscall.Kill(s.process.PID(), signal); err != nil {
		t.Error(err)
	}
}

// Do sends one command as the administrator, and returns its answer as text.
func (s *Server) Do(t testing.TB, command ...string) string {
	t.Helper()
	answer, err := s.try(command...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	return answer
}

func (s *Server) try(command ...string) (string, error) {
	username := ""
	if slices.Contains(s.args, "--aclfile") {
		username = administrator
	}
	c, err := valkey.NewClient(valkey.ClientOption{
		InitAddress: []string{s.Address}, TLSConfig: s.tls, Username: username, ForceSingleClient: true, DisableCache: true, DisableRetry: true,
	})
	if err != nil {
		return "", err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := c.Do(ctx, c.B().Arbitrary(command[0]).Args(command[1:]...).Build()).ToAny()
	if valkey.IsValkeyNil(err) {
		return "", nil
	}
	return fmt.Sprint(answer), err
}

func (s *Server) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(10 * time.Millisecond); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s: not after %s; its log ends:\n%s", s.Address, what, patience, s.process.Tail())
		}
	}
}

// The ports that are tried lie below those that systems give to outgoing connections, which could take one at any moment.
const (
	firstPort = 10_000
	lastPort  = 30_000
)

// freePort is one that nobody listens at now.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return ""
}
