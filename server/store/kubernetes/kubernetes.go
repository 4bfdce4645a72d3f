// Package kubernetes keeps grants as OAuthGrant objects in the operator's namespace, and device authorizations as
// OAuthDeviceAuthorization objects. Creating the object is the gate that makes an authorization code single-use: of any number of
// replicas, the API server lets one create it. Reading is from memory, fed by a watch; what is not there is read live before it is
// called absent, and what could not be read is an error.
//
// What the API server can't decide alone, each replica remembers: an id that it saw deleted can't be created again for as
// long as a code lives, plus clock skew. What remains open is written down here: a replica that started, or whose watch
// broke for so long that it had to list again, within that time has not seen the deletion; and neither has one that is asked in
// the milliseconds before the watch tells it.
package kubernetes

import (
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/pages"
)

const (
	// remembered is how long an id that was deleted can't be created again: the longest life of an authorization code, 60 s,
	// and the skew that clocks may have.
	remembered = 150 * time.Second
	// maxRemembered bounds the memory for them.
	maxRemembered = 1 << 17
	// maxSilence is how long a watch may say nothing, not even a bookmark (the API server sends one a minute), until what it
	// said is no longer taken for the truth.
	maxSilence = 5 * time.Minute
	// callTimeout bounds one request to the API server, so that one that hangs leaves time to find out what came of it.
	callTimeout = 5 * time.Second
	// fieldOwner owns what the store writes.
	fieldOwner = client.FieldOwner("latchkey-server")
)

// The verbs OnWrite is told.
const (
	VerbCreate = "create"
	VerbPatch  = "patch"
)

// Config is what a Store and a Devices need.
type Config struct {
	// Client reads and writes live: it must not read from a cache. Its scheme knows v1alpha1, and its rest.Config has neither a
	// Timeout, which would cut the watch, nor the default rate limit of 5 requests a second.
	Client client.WithWatch
	// Pages reads all there is. Its rest.Config has no Timeout either.
	Pages *pages.Client
	// Namespace is the operator's. Objects in any other are nobody's: tenants may write there.
	Namespace string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger takes what goes wrong with the watch; slog.Default() when nil.
	Logger *slog.Logger
	// OnWrite, when set, is called before each write to the API server, with VerbCreate or VerbPatch.
	OnWrite func(verb string)
}
