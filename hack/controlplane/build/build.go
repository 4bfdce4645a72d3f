// Package build compiles the programs that local tools and tests run, shows how far a long build is, and does not
// repeat it.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ModulePath is the Go module of the repository's root.
const ModulePath = "github.com/latchkey-io/latchkey"

// Root finds the repository's root: the nearest directory at or above the working directory whose go.mod declares ModulePath.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && declares(text, ModulePath) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod of %s at or above %s", ModulePath, start)
		}
	}
}

func declares(goMod []byte, module string) bool {
	for line := range strings.Lines(string(goMod)) {
		if strings.TrimSpace(line) == "module "+module {
			return true
		}
	}
	return false
}

// Target is one program to compile for this machine.
type Target struct {
	// Name is shown while it builds.
	Name string
	// Dir is a directory of the Go module to build in; Package is the main package.
	Dir, Package string
	// Output is the file to write. One that is up to date is left as it is.
	Output string
	// LDFlags go to the linker.
	LDFlags string
	// Reproducible makes the program independent of the machine it is built on (no cgo, no local paths). Without it, the
	// packages are shared in Go's build cache with every `go run` and `go test`.
	Reproducible bool
	// Race has the program look for data races while it runs, and tell of them on standard error.
	Race bool
}

// Run compiles the target and writes progress. It is quick when Go's build cache knows the answer.
func (t Target) Run(ctx context.Context, progress io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(t.Output), 0o755); err != nil {
		return err
	}
	// -v names each package as it is compiled, which is the only measure of progress the go command gives.
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-mod=readonly", "-race="+strconv.FormatBool(t.Race), "-ldflags", t.LDFlags, "-o", t.Output, t.Package)
	cmd.Dir = t.Dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if t.Reproducible {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	output := &goOutput{}
	cmd.Stdout, cmd.Stderr = output, output
	stop := show(progress, t.Name, output)
	err := cmd.Run()
	stop(err)
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", t.Package, errors.Join(ctx.Err(), err), output.messages(30))
	}
	return nil
}

// messages returns the last lines that are more than the name of a package.
func (o *goOutput) messages(most int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []string
	for line := range strings.Lines(o.text.String()) {
		if strings.Contains(strings.TrimSpace(line), " ") {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines[max(0, len(lines)-most):], ""))
}
