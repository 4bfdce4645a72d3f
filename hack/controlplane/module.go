package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// module is hack/cluster, which pins the control plane's sources.
type module struct {
	dir                   string
	version, major, minor string // of k8s.io/kubernetes: v1.36.3, 1, 36
	digest                string // changes with everything that decides what is built
}

func readModule(dir string) (module, error) {
	goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return module{}, err
	}
	goSum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return module{}, err
	}
	m := module{dir: dir, version: required(goMod, "k8s.io/kubernetes")}
	parts := strings.Split(strings.TrimPrefix(m.version, "v"), ".")
	if len(parts) != 3 {
		return module{}, fmt.Errorf("%s/go.mod does not require k8s.io/kubernetes at a release", dir)
	}
	m.major, m.minor = parts[0], parts[1]
	hash := sha256.New()
	for _, part := range []string{string(goMod), string(goSum), m.ldflags(), runtime.GOOS, runtime.GOARCH} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(part), part) // a hash never fails
	}
	m.digest = hex.EncodeToString(hash.Sum(nil))
	return m, nil
}

// required finds the version of a requirement in a go.mod.
func required(goMod []byte, path string) string {
	for line := range strings.Lines(string(goMod)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) >= 2 && fields[0] == path && fields[1] != "=>" {
			return fields[1]
		}
	}
	return ""
}

// ldflags stamps the Kubernetes version, without which kubectl refuses to talk to an API server, and drops debug tables.
func (m module) ldflags() string {
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion="+m.version,
			"-X", pkg+".gitMajor="+m.major,
			"-X", pkg+".gitMinor="+m.minor)
	}
	return strings.Join(flags, " ")
}
