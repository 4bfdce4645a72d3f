// Package npm installs what a package-lock.json pins, the Node that runs it included.
package npm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// Install makes node_modules of a directory what the package-lock.json there says. It does nothing when that is what was installed
// last, and waits for another process that installs it just now.
func Install(ctx context.Context, dir string) (err error) {
	text, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, ".local"), 0o755); err != nil {
		return err
	}
	lock, err := build.Lock(filepath.Join(root, ".local", "npm.lock"), func() {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	sum := sha256.Sum256(text)
	want, stamp := hex.EncodeToString(sum[:]), filepath.Join(dir, "node_modules", ".package-lock.sha256")
	have, err := os.ReadFile(stamp)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(have) == want {
		return nil
	}
	program, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm, which brings what %s pins, is not installed; `make prerequisites` does that, where it can: %w", dir, err)
	}
	// Scripts of packages have no business here, and warnings are about the Node that npm runs on, not the one that is installed.
	npm := exec.CommandContext(ctx, program, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w\n%s", dir, err, out)
	}
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// Node is the Node that the package-lock.json of the directory pins for this platform, else that of the machine.
func Node(dir string) string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	program, err := filepath.Abs(filepath.Join(dir, "node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node"))
	if err != nil {
		return "node"
	}
	if _, err := os.Stat(program); err != nil {
		return "node"
	}
	return program
}
