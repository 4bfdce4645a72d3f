// Package peers runs authorization servers of others, for comparison with Latchkey in the same run, and knows what others made before.
package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/latchkey-io/latchkey/hack/controlplane/process"
	"github.com/latchkey-io/latchkey/hack/npm"
)

// What node-oidc-provider is set up with; see server.mjs.
const (
	ClientID     = "bench"
	ClientSecret = "bench-secret"
	RedirectURI  = "https://client.example/callback"
	Scope        = "orders.read"
	// ResourceES256, ResourceRS256 and ResourceOpaque say how the access token is made.
	ResourceES256  = "urn:bench:ES256"
	ResourceRS256  = "urn:bench:RS256"
	ResourceOpaque = "urn:bench:opaque"
)

// OIDCProvider is node-oidc-provider, ready to be started.
type OIDCProvider struct {
	// Version is that of the npm package.
	Version string
	dir     string
}

// InstallOIDCProvider has npm bring what package-lock.json pins, unless that is there. root is the repository's.
func InstallOIDCProvider(ctx context.Context, root string) (*OIDCProvider, error) {
	p := &OIDCProvider{dir: filepath.Join(root, "hack", "bench", "peers", "oidc-provider")}
	if err := npm.Install(ctx, p.dir); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "node_modules", "oidc-provider", "package.json"))
	if err != nil {
		return nil, err
	}
	var manifest struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("package.json of oidc-provider: %w", err)
	}
	p.Version = manifest.Version
	return p, nil
}

// Options say how it is to be started, at http://127.0.0.1:<port>.
func (p *OIDCProvider) Options(port int, logFile string) process.Options {
	return process.Options{
		Name: "node-oidc-provider", Path: npm.Node(p.dir), Args: []string{"server.mjs", fmt.Sprint(port)}, Dir: p.dir, LogFile: logFile,
		Env: append(os.Environ(), "NODE_ENV=production"),
	}
}
