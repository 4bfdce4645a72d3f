package compile

import (
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/latchkey-io/latchkey/server/keys"
)

// ParsedKeys remember what was read out of the Secrets of AuthorizationServers, for parsing them costs more than all else in a
// compilation. They are safe for concurrent use; the zero value has none, and nil remembers nothing.
type ParsedKeys struct {
	mu    sync.Mutex
	known map[string]parsedKeys
}

type parsedKeys struct {
	version string
	set     *keys.Set
	err     error
}

// Parse is ParseKeys, once for each version of a Secret.
func (p *ParsedKeys) Parse(secret *corev1.Secret) (*keys.Set, error) {
	if p == nil {
		return ParseKeys(secret)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	entry, version := p.known[secret.Name], string(secret.UID)+"/"+secret.ResourceVersion
	if entry.version != version {
		entry.version = version
		entry.set, entry.err = ParseKeys(secret)
		if p.known == nil {
			p.known = map[string]parsedKeys{}
		}
		p.known[secret.Name] = entry
	}
	return entry.set, entry.err
}

// forget drops what is known of a Secret that is gone.
func (p *ParsedKeys) forget(name string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}
