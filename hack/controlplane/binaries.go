package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// Assets are the paths of the programs a control plane is made of.
type Assets struct {
	Etcd, KubeAPIServer, KubeControllerManager, Kubectl string
}

// AssetsVariable names the directory of programs that kubebuilder's tools share. What is there is used before anything is built.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Binaries finds the programs and builds the missing ones, writing progress. Several processes may call it at once: one
// builds, the others wait for it.
func Binaries(ctx context.Context, progress io.Writer) (Assets, error) {
	root, err := build.Root()
	if err != nil {
		return Assets{}, err
	}
	source, err := readModule(filepath.Join(root, "hack", "cluster"))
	if err != nil {
		return Assets{}, err
	}
	f := finder{module: source, bin: filepath.Join(root, ".local", "bin"), assets: os.Getenv(AssetsVariable)}
	var found Assets
	for _, program := range []struct {
		path    *string
		name    string
		pkg     string
		onPath  func(context.Context) (string, bool)
		explain string
	}{
		{path: &found.Etcd, name: "etcd", pkg: "go.etcd.io/etcd/server/v3"},
		{path: &found.KubeAPIServer, name: "kube-apiserver", pkg: "k8s.io/kubernetes/cmd/kube-apiserver"},
		{path: &found.KubeControllerManager, name: "kube-controller-manager", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager"},
		{path: &found.Kubectl, name: "kubectl", pkg: "k8s.io/kubernetes/cmd/kubectl", onPath: source.kubectlOnPath},
	} {
		*program.path, err = f.find(ctx, program.name, program.pkg, program.onPath, progress)
		if err != nil {
			return Assets{}, err
		}
	}
	return found, nil
}

// finder looks for one program after another.
type finder struct {
	module module
	bin    string // where programs are built
	assets string // KUBEBUILDER_ASSETS, or empty
}

func (f finder) find(ctx context.Context, name, pkg string, onPath func(context.Context) (string, bool), progress io.Writer) (string, error) {
	if f.assets != "" {
		if path := filepath.Join(f.assets, name); isProgram(path) {
			return path, nil
		}
	}
	if onPath != nil {
		if path, ok := onPath(ctx); ok {
			return path, nil
		}
	}
	target := build.Target{Name: name, Dir: f.module.dir, Package: pkg, Output: filepath.Join(f.bin, name), LDFlags: f.module.ldflags(), Reproducible: true}
	return target.Output, f.build(ctx, target, progress)
}

// build compiles the target unless a stamp beside it says that it was built from the very same inputs.
func (f finder) build(ctx context.Context, target build.Target, progress io.Writer) error {
	stamp := filepath.Join(f.bin, "."+target.Name+".stamp")
	if stamped(target.Output, stamp, f.module.digest) {
		return nil
	}
	if err := os.MkdirAll(f.bin, 0o755); err != nil {
		return err
	}
	lock, err := build.Lock(filepath.Join(f.bin, ".lock"), func() {
		_, _ = fmt.Fprintf(progress, "  %-24s another process is building; waiting for it\n", target.Name) // a courtesy
	})
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // the kernel unlocks in any case
	if stamped(target.Output, stamp, f.module.digest) {
		return nil
	}
	if err := target.Run(ctx, progress); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(f.module.digest), 0o644)
}

func stamped(program, stamp, digest string) bool {
	text, err := os.ReadFile(stamp)
	return err == nil && string(text) == digest && isProgram(program)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// kubectlOnPath accepts an installed kubectl that is at most two minor versions behind the API server built here.
func (m module) kubectlOnPath(ctx context.Context) (string, bool) {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", false
	}
	out, err := exec.CommandContext(ctx, path, "version", "--client", "--output=json").Output()
	if err != nil {
		return "", false
	}
	var answer struct {
		ClientVersion struct {
			Major string `json:"major"`
			Minor string `json:"minor"`
		} `json:"clientVersion"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", false
	}
	minor, err := strconv.Atoi(strings.TrimRight(answer.ClientVersion.Minor, "+"))
	ours, oursErr := strconv.Atoi(m.minor)
	return path, err == nil && oursErr == nil && answer.ClientVersion.Major == m.major && minor >= ours-2
}
