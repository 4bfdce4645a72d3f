package usage

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/together"
)

const (
	// shards of the memory, so that requests don't wait for each other.
	shards = 64
	// maxUses bounds the secrets that are remembered. Those beyond it are not: their times are missing in status.
	maxUses = 1 << 18
)

// memory is when secrets were used last, as this replica knows.
type memory struct {
	seed   maphash.Seed
	size   atomic.Int64
	max    int64
	shards [shards]shard
}

type shard struct {
	mu      sync.RWMutex
	clients map[string]*record // by UID
}

// record is one client's.
type record struct {
	key     client.ObjectKey
	secrets []*use // of which there are two at most, but for a while
}

// use is one secret's. Times are Unix seconds, zero for never.
type use struct {
	id   string
	last atomic.Int64
	// told is what status said when it was looked at, and due when it is to be looked at again if there is more to tell. Only the
	// writing goroutine has to do with them.
	told, due int64
}

func newMemory(seed maphash.Seed) *memory {
	m := &memory{seed: seed, max: maxUses}
	for i := range m.shards {
		m.shards[i].clients = map[string]*record{}
	}
	return m
}

func (m *memory) shard(uid string) *shard { return &m.shards[maphash.String(m.seed, uid)%shards] }

// note remembers a use.
func (m *memory) note(c *registry.Client, id string, at int64) {
	s := m.shard(c.UID)
	s.mu.RLock()
	known := s.use(c.UID, id)
	if known != nil {
		known.raise(at) // under the lock, or it could be forgotten meanwhile
	}
	s.mu.RUnlock()
	if known == nil {
		m.add(s, c, id, at)
	}
}

func (m *memory) add(s *shard, c *registry.Client, id string, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.use(c.UID, id) == nil {
		if m.size.Add(1) > m.max {
			m.size.Add(-1)
			return
		}
		s.remember(c, id)
	}
	s.use(c.UID, id).raise(at)
}

// remember makes room for the use of a secret. Its texts are its own: those of the client go with this version of it.
func (s *shard) remember(c *registry.Client, id string) {
	r := s.clients[c.UID]
	if r != nil {
		r.secrets = append(r.secrets, &use{id: strings.Clone(id)})
		return
	}
	uid, name := c.UID, c.Name
	together.Put(&uid, &name, &id)
	s.clients[uid] = &record{key: client.ObjectKey{Namespace: c.Namespace, Name: name}, secrets: []*use{{id: id}}}
}

func (s *shard) use(uid, id string) *use {
	if r := s.clients[uid]; r != nil {
		for _, u := range r.secrets {
			if u.id == id {
				return u
			}
		}
	}
	return nil
}

// raise never sets the time back: requests overtake each other.
func (u *use) raise(at int64) {
	for {
		last := u.last.Load()
		if last >= at || u.last.CompareAndSwap(last, at) {
			return
		}
	}
}

// last is when a secret was used last; zero when this replica does not know.
func (m *memory) last(uid, id string) int64 {
	s := m.shard(uid)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if u := s.use(uid, id); u != nil {
		return u.last.Load()
	}
	return 0
}

// due are the clients of which there is more to tell, and it is time.
func (m *memory) due(now int64) []target {
	return m.find(func(u *use) bool { return u.last.Load() > u.told && now >= u.due })
}

// unwritten are the clients of which there is more to tell.
func (m *memory) unwritten() []target {
	return m.find(func(u *use) bool { return u.last.Load() > u.told })
}

func (m *memory) find(match func(*use) bool) []target {
	var out []target
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for uid, r := range s.clients {
			for _, u := range r.secrets {
				if match(u) {
					out = append(out, target{r.key, uid})
					break
				}
			}
		}
		s.mu.RUnlock()
	}
	return out
}

// settle notes what status says of each secret of a client. One that status does not list is looked at again after a while, for
// status may be incomplete at the moment, and forgotten when it has not been used for as long.
func (m *memory) settle(uid string, p *plan, now, again, forget int64) {
	s := m.shard(uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.clients[uid]
	if r == nil {
		return
	}
	r.secrets = slices.DeleteFunc(r.secrets, func(u *use) bool {
		told, listed := p.told[u.id]
		switch {
		case listed && told == 0:
			u.told, u.due = 0, 0
		case listed:
			u.told, u.due = told, told+again
		case u.last.Load() < now-forget:
			m.size.Add(-1)
			return true
		default:
			u.told, u.due = 0, now+forget
		}
		return false
	})
	if len(r.secrets) == 0 {
		delete(s.clients, uid)
	}
}

// forget drops a client that is gone.
func (m *memory) forget(uid string) {
	s := m.shard(uid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.clients[uid]; r != nil {
		m.size.Add(-int64(len(r.secrets)))
		delete(s.clients, uid)
	}
}
