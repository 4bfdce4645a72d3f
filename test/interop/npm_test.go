package interop

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

// install makes node_modules what package-lock.json says. It does nothing when that is what was installed last.
func install(ctx context.Context, root string) (err error) {
	lock, err := build.Lock(filepath.Join(root, ".local", "interop.lock"), func() {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	text, err := os.ReadFile("package-lock.json")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	want := hex.EncodeToString(sum[:])
	stamp := filepath.Join("node_modules", ".package-lock.sha256")
	have, err := os.ReadFile(stamp)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(have) == want {
		return nil
	}
	// Scripts of packages have no business here, and warnings are about the Node that npm runs on, not the one the clients do.
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.WriteFile(stamp, []byte(want), 0o644)
}

// node is the Node that package-lock.json pins for this platform, else that of the machine.
func node() string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	program, err := filepath.Abs(filepath.Join("node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node"))
	if err != nil {
		return "node"
	}
	if _, err := os.Stat(program); err != nil {
		return "node"
	}
	return program
}
