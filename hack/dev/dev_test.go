package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

func testSite(t *testing.T) site {
	t.Helper()
	root := t.TempDir()
	return site{root: root, state: filepath.Join(root, ".local"), base: 31000}
}

func TestSamplesMoveToTheSitesPorts(t *testing.T) {
	const sample = "issuer: http://localhost:20001\nredirect: http://localhost:20005/callback\nother: http://127.0.0.1:20006\nkept: localhost:8080 localhost:200011\n"
	const want = "issuer: http://localhost:31001\nredirect: http://localhost:31005/callback\nother: http://127.0.0.1:31006\nkept: localhost:8080 localhost:200011\n"
	if got := string(moveTo(31000, []byte(sample))); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := string(moveTo(defaultPortBase, []byte(sample))); got != sample {
		t.Errorf("the default ports were moved:\n%s", got)
	}
}

func TestPortBase(t *testing.T) {
	for _, row := range []struct {
		args        []string
		environment string
		want        int
	}{
		{want: defaultPortBase},
		{environment: "21000", want: 21000},
		{environment: "21000", args: []string{"-port-base=22000"}, want: 22000},
		{environment: "many"},
		{environment: "80"},
		{args: []string{"-port-base=65500"}},
		{args: []string{"extra"}},
	} {
		got, _, err := parseFlags(row.args, row.environment, t.Output())
		if got != row.want || (err == nil) != (row.want != 0) {
			t.Errorf("%v with PORT_BASE=%q: %d, %v", row.args, row.environment, got, err)
		}
	}
}

func TestTakenPortsAreNamed(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	s := site{base: listener.Addr().(*net.TCPAddr).Port - offsetPhotos}
	err = s.checkPorts([]use{{offsetPhotos, "the photos API"}})
	if err == nil || !strings.Contains(err.Error(), "the photos API") || !strings.Contains(err.Error(), "PORT_BASE=") {
		t.Errorf("got %v", err)
	}
}

func TestALockIsHeldByOneAndNamesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "lock")
	if pid, err := holder(file); pid != 0 || err != nil {
		t.Fatalf("an unheld lock has holder %d, %v", pid, err)
	}
	lock, err := hold(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold(file); !errors.Is(err, build.ErrLocked) {
		t.Errorf("held twice: %v", err)
	}
	if pid, err := holder(file); pid != os.Getpid() || err != nil {
		t.Errorf("holder is %d, %v", pid, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if pid, err := holder(file); pid != 0 || err != nil {
		t.Errorf("after release the holder is %d, %v", pid, err)
	}
}

func TestShellReadsWhatQuoteWrites(t *testing.T) {
	for _, text := range []string{"/plain/path", "with space", "it's", "$HOME `id` \"x\" \\", ""} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("quote(%q) = %s reads as %q, %v", text, quote(text), out, err)
		}
		if got := unquote(quote(text)); got != text {
			t.Errorf("unquote(quote(%q)) = %q", text, got)
		}
	}
}

func TestEnvironmentFileIsReadBackAndRemoved(t *testing.T) {
	s := testSite(t)
	if err := os.MkdirAll(s.path(), 0o755); err != nil {
		t.Fatal(err)
	}
	e := &environment{site: s, cp: &controlplane.ControlPlane{Kubeconfig: "/a b/config"}}
	if err := e.writeEnv(); err != nil {
		t.Fatal(err)
	}
	variables, err := s.readEnv()
	if err != nil || variables["KUBECONFIG"] != "/a b/config" || variables["LATCHKEY_ISSUER"] != "https://localhost:31000" ||
		variables["LATCHKEY_HTTP_ISSUER"] != "http://localhost:31001" {
		t.Errorf("read %v, %v", variables, err)
	}
	if err := s.removeEnv(); err != nil {
		t.Fatal(err)
	}
	if exists(s.envFile()) {
		t.Error("the file is still there")
	}
	if err := s.removeEnv(); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
}

func TestRenewalsStopAtOnce(t *testing.T) {
	var r renewals
	r.keep(time.Now().Add(time.Hour), nil, nil)
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-t.Context().Done():
		t.Error("still waiting")
	}
}
