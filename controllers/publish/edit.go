package publish

import (
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// edit gathers the changes to one issuer, so that each of its tables is copied at most once.
type edit struct {
	config    *registry.Config
	keys      *keys.Set
	clients   tableEdit[*registry.Client]
	users     tableEdit[*registry.User]
	resources tableEdit[*registry.Resource]
	// gone are the UIDs known before, and left those that are no longer there.
	gone registry.Map[struct{}]
	left map[string]struct{}
}

// maxGone bounds how many UIDs of what is gone are remembered.
const maxGone = 100_000

func newEdit(current *registry.Issuer) *edit {
	if current == nil {
		current = &registry.Issuer{}
	}
	return &edit{
		config:    current.Config,
		keys:      current.Keys,
		clients:   tableEdit[*registry.Client]{current: current.Clients},
		users:     tableEdit[*registry.User]{current: current.Users},
		resources: tableEdit[*registry.Resource]{current: current.Resources},
		gone:      current.Gone,
		left:      map[string]struct{}{},
	}
}

func (e *edit) remove(v any) {
	switch v := v.(type) {
	case *registry.Config:
		e.config = nil
	case *keys.Set:
		e.keys = nil
	case *registry.Client:
		e.clients.remove(v.ID, v)
		e.left[v.UID] = struct{}{}
	case *registry.User:
		e.users.remove(v.Name, v)
		e.left[v.UID] = struct{}{}
	case *registry.Resource:
		e.resources.remove(v.Identifier, v)
	}
}

func (e *edit) set(v any) {
	switch v := v.(type) {
	case *registry.Config:
		e.config = v
	case *keys.Set:
		e.keys = v
	case *registry.Client:
		e.clients.set(v.ID, v)
		delete(e.left, v.UID)
	case *registry.User:
		e.users.set(v.Name, v)
		delete(e.left, v.UID)
	case *registry.Resource:
		e.resources.set(v.Identifier, v)
	}
}

func (e *edit) apply() *registry.Issuer {
	if e.gone.Len()+len(e.left) > maxGone {
		e.gone = registry.Map[struct{}]{}
	}
	return &registry.Issuer{
		Config: e.config, Keys: e.keys, Gone: e.gone.With(e.left),
		Clients: e.clients.apply(), Users: e.users.apply(), Resources: e.resources.apply(),
	}
}

// tableEdit gathers the changes to one table.
type tableEdit[V comparable] struct {
	current registry.Map[V]
	add     map[string]V
	gone    []string
}

// remove drops the entry if it is still the very value: meanwhile the key may have gone to another object.
func (t *tableEdit[V]) remove(key string, v V) {
	if now, ok := t.current.Get(key); ok && now == v {
		t.gone = append(t.gone, key)
	}
}

func (t *tableEdit[V]) set(key string, v V) {
	if t.add == nil {
		t.add = map[string]V{}
	}
	t.add[key] = v
}

func (t *tableEdit[V]) apply() registry.Map[V] { return t.current.With(t.add, t.gone...) }
