package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// check is a line of the suite's verdict.
type check struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	ErrorMessage string `json:"errorMessage"`
}

// TestMCPConformance runs the suite of the Model Context Protocol for authorization servers, at an issuer without and one with
// a path.
func TestMCPConformance(t *testing.T) {
	for _, name := range []string{"tool", "tool-shop"} {
		t.Run(name, func(t *testing.T) { conforms(t, find(t, name)) })
	}
}

// conforms runs the suite, which has no browser of its own: it says where the user is to go, and waits.
func conforms(t *testing.T, c client) {
	port, results := freePort(t), t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	suite := exec.CommandContext(ctx, node(), "node_modules/@modelcontextprotocol/conformance/dist/index.js", "authorization",
		"--url", c.Issuer, "--client-id", c.ID, "--resource", c.Resource, "--port", fmt.Sprint(port), "--output-dir", results)
	suite.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+live.CA)
	var complaints bytes.Buffer
	suite.Stderr = &complaints
	out, err := suite.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := suite.Start(); err != nil {
		t.Fatal(err)
	}
	address, listening := "", false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		t.Log(lines.Text())
		if strings.HasPrefix(lines.Text(), c.Issuer+"/authorize?") {
			address = lines.Text()
		}
		listening = listening || strings.HasPrefix(lines.Text(), "Callback server started")
		if address == "" || !listening {
			continue
		}
		if _, err := dora(t).visit(t.Context(), address, "allow"); err != nil {
			t.Error(err)
		}
		address = ""
	}
	if err := suite.Wait(); err != nil {
		t.Errorf("the suite: %v\n%s", err, &complaints)
	}
	passed := 0
	for _, c := range checks(t, results) {
		if c.Status == "SUCCESS" {
			passed++
		} else if c.ID != "authorization-server-metadata-cimd" { // a SHOULD
			t.Errorf("%s: %s %s", c.ID, c.Status, c.ErrorMessage)
		}
	}
	if passed < 2 {
		t.Errorf("%d checks passed", passed)
	}
}

// checks are all the suite's verdicts.
func checks(t *testing.T, results string) (all []check) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite left no results: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var some []check
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}
