package publish

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// units are the objects that were compiled, and what compiling each of them read. There are as many as there are clients, so what they
// have in common is kept once: clients of one namespace that ask for the same APIs read the same things.
type units struct {
	byID map[dependency]*unit
	// sets are all read sets, by what is in them; dependants are those that a dependency is in.
	sets       map[string]*readSet
	dependants map[dependency]map[*readSet]struct{}
}

// unit is one object that was compiled.
type unit struct {
	id     dependency
	placed placement
	reads  *readSet
}

// readSet is what the compilations of some units read.
type readSet struct {
	key   string
	read  []dependency
	units map[*unit]struct{}
}

func newUnits() units {
	return units{byID: map[dependency]*unit{}, sets: map[string]*readSet{}, dependants: map[dependency]map[*readSet]struct{}{}}
}

// placed is what a unit put into the issuers.
func (u *units) placed(id dependency) placement {
	if known := u.byID[id]; known != nil {
		return known.placed
	}
	return nil
}

// depending are the units that read a dependency.
func (u *units) depending(on dependency) iter.Seq[dependency] {
	return func(yield func(dependency) bool) {
		for set := range u.dependants[on] {
			for unit := range set.units {
				if !yield(unit.id) {
					return
				}
			}
		}
	}
}

// set notes what a unit placed and what it read. Of one that is gone, which has read and placed nothing, nothing is kept.
func (u *units) set(id dependency, placed placement, read map[dependency]struct{}) {
	known := u.byID[id]
	if len(placed) == 0 && len(read) == 0 {
		if known != nil {
			u.leave(known)
			delete(u.byID, id)
		}
		return
	}
	if known == nil {
		known = &unit{id: id}
		u.byID[id] = known
	}
	known.placed = placed
	u.join(known, read)
}

// join puts a unit among those that read the same.
func (u *units) join(known *unit, read map[dependency]struct{}) {
	sorted := make([]dependency, 0, len(read))
	for d := range read {
		sorted = append(sorted, d)
	}
	slices.SortFunc(sorted, compareDependencies)
	key := keyOf(sorted)
	if known.reads != nil && known.reads.key == string(key) {
		return
	}
	u.leave(known)
	set := u.sets[string(key)]
	if set == nil {
		set = &readSet{key: string(key), read: sorted, units: map[*unit]struct{}{}}
		u.sets[set.key] = set
		for _, d := range sorted {
			if u.dependants[d] == nil {
				u.dependants[d] = map[*readSet]struct{}{}
			}
			u.dependants[d][set] = struct{}{}
		}
	}
	set.units[known] = struct{}{}
	known.reads = set
}

// leave takes a unit out of its set, which goes with its last unit.
func (u *units) leave(known *unit) {
	set := known.reads
	if set == nil {
		return
	}
	known.reads = nil
	delete(set.units, known)
	if len(set.units) > 0 {
		return
	}
	delete(u.sets, set.key)
	for _, d := range set.read {
		delete(u.dependants[d], set)
		if len(u.dependants[d]) == 0 {
			delete(u.dependants, d)
		}
	}
}

func compareDependencies(a, b dependency) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
}

// keyOf differs for different lists: no name of an object and no identifier has a zero byte.
func keyOf(sorted []dependency) []byte {
	var key []byte
	for _, d := range sorted {
		key = append(append(key, byte(d.kind)), d.namespace...)
		key = append(append(key, 0), d.name...)
		key = append(key, 0)
	}
	return key
}
