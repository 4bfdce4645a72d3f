package build_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

func writeProgram(t *testing.T, source string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/program\n\ngo 1.26\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRootIsFoundFromAPackageDirectory(t *testing.T) {
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "hack", "controlplane", "build", "build_test.go")); err != nil {
		t.Errorf("root is %s: %v", root, err)
	}
}

func TestRunBuildsAndReports(t *testing.T) {
	dir := writeProgram(t, "package main\n\nvar word = \"unset\"\n\nfunc main() { print(word) }\n")
	target := build.Target{Name: "program", Dir: dir, Package: ".", Output: filepath.Join(t.TempDir(), "bin", "program"), LDFlags: "-X main.word=stamped"}
	var progress bytes.Buffer
	if err := target.Run(t.Context(), &progress); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(target.Output).CombinedOutput()
	if err != nil || string(out) != "stamped" {
		t.Errorf("the program says %q, %v", out, err)
	}
	if !strings.Contains(progress.String(), "program") || !strings.Contains(progress.String(), "built") {
		t.Errorf("progress is %q", progress.String())
	}
}

func TestRunShowsTheCompilersWords(t *testing.T) {
	dir := writeProgram(t, "package main\n\nfunc main() { undefinedThing() }\n")
	output := filepath.Join(t.TempDir(), "program")
	err := build.Target{Name: "program", Dir: dir, Package: ".", Output: output}.Run(t.Context(), &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "undefined: undefinedThing") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(output + "*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLockMakesASecondHolderWait(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	first, err := build.Lock(file, func() { t.Error("a free lock made its first holder wait") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, held := make(chan struct{}), make(chan error, 1)
	go func() {
		second, err := build.Lock(file, func() { close(waiting) })
		if err == nil {
			err = second.Close()
		}
		held <- err
	}()
	<-waiting
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Fatal(err)
	}
}
