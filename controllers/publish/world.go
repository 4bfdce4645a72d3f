package publish

import (
	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// world is the compiled cluster, with what is needed to compile parts of it again.
type world struct {
	issuers map[string]*registry.Issuer
	keys    *keyMemo
	memo    *memo
	units   units
}

// placement is what one object put into the issuers.
type placement []placed

// placed is one value in the issuer of an AuthorizationServer.
type placed struct {
	issuer string
	// value is a *registry.Config, *keys.Set, *registry.Client, *registry.User or *registry.Resource.
	value any
}

// failure is an issuer whose keys can't be used.
type failure struct {
	authorizationServer string
	err                 error
}

func newWorld() *world {
	return &world{issuers: map[string]*registry.Issuer{}, keys: &keyMemo{last: map[string]*keys.Set{}}, memo: newMemo(), units: newUnits()}
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
	w.memo.forget(changed)
	for unit := range w.affected(changed) {
		r := newRecorder(reader, w.keys, w.memo)
		p, f := compileUnit(r, reader, unit)
		compiled[unit], reads[unit] = p, r.read
		if f != nil {
			failures = append(failures, *f)
		}
	}
	if reader.Err() != nil {
		w.memo = newMemo() // what could not be read is taken for absent there
		return nil
	}
	w.place(compiled)
	for unit, read := range reads {
		w.units.set(unit, compiled[unit], read)
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
		for unit := range w.units.depending(d) {
			units[unit] = struct{}{}
		}
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
			resources, _ := compile.ResourceServer(r, rs)
			p = placementOf(resources)
		}
	case kindOAuthClient:
		if c := reader.OAuthClient(unit.namespace, unit.name); c != nil {
			if name, client, _ := compile.OAuthClient(r, c); client != nil {
				p = placement{{name, client}}
			}
		}
	case kindLocalUser:
		if u := reader.LocalUser(unit.name); u != nil {
			users, _ := compile.LocalUser(r, u)
			p = placementOf(users)
		}
	}
	return p, nil
}

func compileIssuer(r *recorder, as *v1alpha1.AuthorizationServer) (placement, *failure) {
	config, _ := compile.AuthorizationServer(r, as)
	if config == nil {
		return nil, nil
	}
	config.Namespaces = compile.AllowedNamespaces(r, as)
	p := placement{{as.Name, config}}
	if set, _ := r.Keys(as.Name); set != nil {
		p = append(p, placed{as.Name, set})
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
	for unit := range compiled {
		for _, p := range w.units.placed(unit) {
			at(p.issuer).remove(p.value)
		}
	}
	for _, now := range compiled {
		for _, p := range now {
			at(p.issuer).set(p.value)
		}
	}
	for name, e := range edits {
		w.issuers[name] = e.apply()
	}
}

// placementOf are the values that one object has for each issuer.
func placementOf[V any](values map[string]V) placement {
	var p placement
	for issuer, v := range values {
		p = append(p, placed{issuer, v})
	}
	return p
}
