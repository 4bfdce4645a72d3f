package publish

import (
	"maps"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// world is the compiled cluster, with what is needed to compile parts of it again.
type world struct {
	issuers map[string]*registry.Issuer
	keys    *keyMemo
	// placed is what each object put into the issuers; read is what compiling it read; dependants is the reverse of read.
	placed     map[dependency]placement
	read       map[dependency]map[dependency]struct{}
	dependants map[dependency]map[dependency]struct{}
}

// placement is what one object put where, by name of the AuthorizationServer.
type placement struct {
	config    map[string]*registry.Config
	keys      map[string]*keys.Set
	clients   map[string]*registry.Client
	users     map[string]*registry.User
	resources map[string]*registry.Resource
}

// failure is an issuer whose keys can't be used.
type failure struct {
	authorizationServer string
	err                 error
}

func newWorld() *world {
	return &world{
		issuers:    map[string]*registry.Issuer{},
		keys:       &keyMemo{entries: map[string]keyEntry{}},
		placed:     map[dependency]placement{},
		read:       map[dependency]map[dependency]struct{}{},
		dependants: map[dependency]map[dependency]struct{}{},
	}
}

// snapshot is the world for requests: the issuers that have both a configuration and keys.
func (w *world) snapshot() *registry.Snapshot {
	var complete []*registry.Issuer
	for _, i := range w.issuers {
		if i.Config != nil && i.Keys != nil {
			complete = append(complete, i)
		}
	}
	return registry.NewSnapshot(complete)
}

// update compiles again what the changes affect. Nothing that a snapshot shares is changed. When the reader fails, the
// compiled cluster stays as it was.
func (w *world) update(reader *compile.Reader, changed []dependency) []failure {
	var failures []failure
	compiled := map[dependency]placement{}
	reads := map[dependency]map[dependency]struct{}{}
	for unit := range w.affected(changed) {
		r := &recorder{World: reader, keys: w.keys, read: map[dependency]struct{}{}}
		p, f := compileUnit(r, reader, unit)
		compiled[unit], reads[unit] = p, r.read
		if f != nil {
			failures = append(failures, *f)
		}
	}
	if reader.Err() != nil {
		return nil
	}
	w.place(compiled)
	for unit, read := range reads {
		w.rememberReads(unit, read)
	}
	return failures
}

// affected are the objects to compile again: those that changed, and those that read what changed.
func (w *world) affected(changed []dependency) map[dependency]struct{} {
	units := map[dependency]struct{}{}
	for _, d := range changed {
		switch d.kind {
		case kindAuthorizationServer, kindResourceServer, kindOAuthClient, kindLocalUser:
			units[d] = struct{}{}
		}
		maps.Copy(units, w.dependants[d])
	}
	return units
}

// compileUnit compiles one object; one that is gone places nothing. That it read itself is not noted: it is compiled again whenever it
// changes, and of one that is gone nothing is to be kept.
func compileUnit(r *recorder, reader *compile.Reader, unit dependency) (placement, *failure) {
	var p placement
	switch unit.kind {
	case kindAuthorizationServer:
		if as := reader.AuthorizationServer(unit.name); as != nil {
			return compileIssuer(r, as)
		}
	case kindResourceServer:
		if rs := reader.ResourceServer(unit.namespace, unit.name); rs != nil {
			p.resources, _ = compile.ResourceServer(r, rs)
		}
	case kindOAuthClient:
		if c := reader.OAuthClient(unit.namespace, unit.name); c != nil {
			if name, client, _ := compile.OAuthClient(r, c); client != nil {
				p.clients = map[string]*registry.Client{name: client}
			}
		}
	case kindLocalUser:
		if u := reader.LocalUser(unit.name); u != nil {
			p.users, _ = compile.LocalUser(r, u)
		}
	}
	return p, nil
}

func compileIssuer(r *recorder, as *v1alpha1.AuthorizationServer) (placement, *failure) {
	config, _ := compile.AuthorizationServer(r, as)
	if config == nil {
		return placement{}, nil
	}
	config.Namespaces = compile.AllowedNamespaces(r, as)
	p := placement{config: map[string]*registry.Config{as.Name: config}}
	if set, _ := r.Keys(as.Name); set != nil {
		p.keys = map[string]*keys.Set{as.Name: set}
	}
	if _, err := r.stored(as.Name); err != nil {
		return p, &failure{as.Name, err}
	}
	return p, nil
}

// place swaps what the units put into the issuers before for what they put there now.
func (w *world) place(compiled map[dependency]placement) {
	edits := map[string]*edit{}
	at := func(issuer string) *edit {
		if edits[issuer] == nil {
			edits[issuer] = newEdit(w.issuers[issuer])
		}
		return edits[issuer]
	}
	for unit, p := range compiled {
		w.placed[unit].each(func(issuer string, v any) { at(issuer).remove(v) })
		w.placed[unit] = p
		if p.empty() {
			delete(w.placed, unit)
		}
	}
	for _, p := range compiled {
		p.each(func(issuer string, v any) { at(issuer).set(v) })
	}
	for name, e := range edits {
		w.issuers[name] = e.apply()
	}
}

func (p placement) empty() bool {
	return len(p.config) == 0 && len(p.keys) == 0 && len(p.clients) == 0 && len(p.users) == 0 && len(p.resources) == 0
}

// each calls f with every value and the issuer it belongs to.
func (p placement) each(f func(issuer string, v any)) {
	for issuer, v := range p.config {
		f(issuer, v)
	}
	for issuer, v := range p.keys {
		f(issuer, v)
	}
	for issuer, v := range p.clients {
		f(issuer, v)
	}
	for issuer, v := range p.users {
		f(issuer, v)
	}
	for issuer, v := range p.resources {
		f(issuer, v)
	}
}

// rememberReads keeps the reverse index in step.
func (w *world) rememberReads(unit dependency, read map[dependency]struct{}) {
	for d := range w.read[unit] {
		if _, still := read[d]; !still {
			delete(w.dependants[d], unit)
			if len(w.dependants[d]) == 0 {
				delete(w.dependants, d)
			}
		}
	}
	for d := range read {
		if w.dependants[d] == nil {
			w.dependants[d] = map[dependency]struct{}{}
		}
		w.dependants[d][unit] = struct{}{}
	}
	w.read[unit] = read
	if _, there := w.placed[unit]; !there && len(read) == 0 {
		delete(w.read, unit)
	}
}
