package ui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// AssetsPath is where the assets are, below the issuer.
const AssetsPath = "/assets/"

//go:embed assets
var assetFiles embed.FS

// Assets are the files that pages refer to, each under a name that changes with its content.
type Assets struct {
	names map[string]string // file name → name in URLs
	files map[string]asset  // name in URLs → file
}

type asset struct {
	contentType string
	content     []byte
}

func newAssets() (*Assets, error) {
	a := &Assets{names: map[string]string{}, files: map[string]asset{}}
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	for _, e := range entries {
		if err := a.add(e.Name()); err != nil {
			return nil, fmt.Errorf("ui: %w", err)
		}
	}
	return a, nil
}

func (a *Assets) add(name string) error {
	content, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		return err
	}
	ext := path.Ext(name)
	contentType, ok := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}[ext]
	if !ok {
		return fmt.Errorf("no media type for asset %s", name)
	}
	sum := sha256.Sum256(content)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
	a.names[name] = hashed
	a.files[hashed] = asset{contentType: contentType, content: content}
	return nil
}

// url is the absolute path of an asset, for templates.
func (a *Assets) url(basePath, name string) (string, error) {
	hashed, ok := a.names[name]
	if !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return basePath + AssetsPath + hashed, nil
}

// Serve answers a request for an asset; the path ends in /assets/ and its name. As the name changes with the content, it
// may be kept for ever (RFC 8246).
func (a *Assets) Serve(w http.ResponseWriter, r *http.Request, _ *registry.Issuer) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return oauth.Errorf(oauth.MethodNotAllowed, "use GET")
	}
	_, name, _ := strings.Cut(r.URL.Path, AssetsPath)
	file, ok := a.files[name]
	if !ok {
		return oauth.Errorf(oauth.NotFound, "there is no such file")
	}
	h := w.Header()
	h.Del("Pragma")
	h.Set("Content-Type", file.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file.content))
	return nil
}
