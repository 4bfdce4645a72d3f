package oauthclient

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// written remembers what the controller has just written of each client, until the cache has it. Until then there is nothing to see:
// another look would end in a write that is refused for the old version. And when it comes it is no news, for which the client would be
// looked at again, and its Secret read from the API server.
type written struct {
	mu      sync.Mutex
	clients map[types.NamespacedName]writes
}

// writes are what is remembered of one client.
type writes struct {
	// status is the version of the client's object that the last write of its status made, at a time; empty for none.
	status string
	at     time.Time
	// own are the versions that are no news when they come.
	own []version
	// writing says that a write is under way, of which the answer may come after the event: versions that come meanwhile are held. missed
	// says that one of those was news.
	writing, missed bool
	held            []version
}

// version is one of an object (metadata.resourceVersion).
type version struct{ kind, version string }

const (
	kindClient = "OAuthClient"
	kindSecret = "Secret"
)

// pendingAtMost is how long the cache is waited for. It is milliseconds behind, unless etcd was restored and has gone back.
const pendingAtMost = 10 * time.Second

// write has an object of the client's written, after which there is nothing for another look to do.
func (w *written) write(client types.NamespacedName, kind string, o client.Object, now time.Time, write func() error) error {
	w.change(client, func(c *writes) { c.writing = true })
	before := o.GetResourceVersion()
	err := write()
	w.change(client, func(c *writes) {
		made := version{kind, o.GetResourceVersion()}
		wrote := err == nil && made.version != before
		came := wrote && slices.Contains(c.held, made)
		if wrote && !came {
			c.own = append(c.own, made)
			c.made(made, now)
		}
		c.missed = c.missed || slices.ContainsFunc(c.held, func(v version) bool { return !wrote || v != made })
		c.writing, c.held = false, nil
	})
	return err
}

// made remembers that a write made this version.
func (c *writes) made(v version, now time.Time) {
	if v.kind == kindClient {
		c.status, c.at = v.version, now
	}
}

// isOwn says whether a version of an object of the client's that has come is no news, or may turn out to be none: see missed.
func (w *written) isOwn(client types.NamespacedName, kind, resourceVersion string) (is bool) {
	came := version{kind, resourceVersion}
	w.change(client, func(c *writes) {
		if c.writing {
			c.held, is = append(c.held, came), true
			return
		}
		i := slices.Index(c.own, came)
		if is = i >= 0; is {
			c.own = slices.Delete(c.own, i, i+1)
			if kind == kindClient {
				c.status = ""
			}
		}
	})
	return is
}

// missed says whether there was news while something was written. It does so once.
func (w *written) missed(client types.NamespacedName) (is bool) {
	w.change(client, func(c *writes) { is, c.missed = c.missed, false })
	return is
}

// status remembers that a write of the client's status made this version of the object.
func (w *written) status(o client.Object, now time.Time) {
	w.change(client.ObjectKeyFromObject(o), func(c *writes) { c.made(version{kindClient, o.GetResourceVersion()}, now) })
}

// pending says whether an object from the cache is older than what was written. Once it is not, it is looked at, and what comes after that
// is news.
func (w *written) pending(o client.Object, now time.Time) (is bool) {
	w.change(client.ObjectKeyFromObject(o), func(c *writes) {
		order, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), c.status)
		if is = err == nil && order < 0 && now.Sub(c.at) < pendingAtMost; !is {
			*c = writes{} // caught up, or not comparable
		}
	})
	return is
}

func (w *written) forget(client types.NamespacedName) {
	w.change(client, func(c *writes) { *c = writes{} })
}

// change changes what is remembered of a client. Of one of which there is nothing to remember, nothing is.
func (w *written) change(client types.NamespacedName, change func(*writes)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clients[client]
	change(&c)
	if c.status == "" && len(c.own) == 0 && !c.writing && !c.missed {
		delete(w.clients, client)
		return
	}
	if w.clients == nil {
		w.clients = map[types.NamespacedName]writes{}
	}
	w.clients[client] = c
}
