package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// Kubectl runs kubectl as cluster-admin and returns what it wrote. Paths in args are relative to the working directory.
func (cp *ControlPlane) Kubectl(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	return cp.KubectlInput(ctx, nil, args...)
}

// KubectlInput is Kubectl with standard input, for `apply -f -`.
func (cp *ControlPlane) KubectlInput(ctx context.Context, stdin io.Reader, args ...string) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, cp.Assets.Kubectl, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errOut
	// A discovery cache in the home directory would mix up control planes that followed each other on one port.
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cp.Kubeconfig, "KUBECACHEDIR="+filepath.Join(cp.Dir, "kubectl-cache"))
	if err := cmd.Run(); err != nil {
		return out.String(), errOut.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), errOut.String(), nil
}

// Apply applies a file or directory (a kustomization is built) and waits for the CustomResourceDefinitions in it to be served.
// A relative path starts at the repository's root.
func (cp *ControlPlane) Apply(ctx context.Context, path string) error {
	if !filepath.IsAbs(path) {
		root, err := build.Root()
		if err != nil {
			return err
		}
		path = filepath.Join(root, path)
	}
	source := "-f"
	if isFile(filepath.Join(path, "kustomization.yaml")) {
		source = "-k"
	}
	out, _, err := cp.Kubectl(ctx, "apply", "--server-side", "--output=name", source, path)
	if err != nil {
		return err
	}
	return cp.waitEstablished(ctx, out)
}

// waitEstablished waits for the CustomResourceDefinitions among names, one resource a line.
func (cp *ControlPlane) waitEstablished(ctx context.Context, names string) error {
	wait := []string{"wait", "--for=condition=Established", "--timeout=60s"}
	before := len(wait)
	for name := range strings.FieldsSeq(names) {
		if strings.HasPrefix(name, "customresourcedefinition.") {
			wait = append(wait, name)
		}
	}
	if len(wait) == before {
		return nil
	}
	_, _, err := cp.Kubectl(ctx, wait...)
	return err
}

func (cp *ControlPlane) applyManifests(ctx context.Context) error {
	for _, path := range cp.options.Manifests {
		if err := cp.Apply(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
