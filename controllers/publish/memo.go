package publish

// maxMemo bounds what is remembered; more of it is forgotten as a whole. There is one for each API, and for each namespace with clients. And
// whoever may create and delete objects all day long must not fill the memory of every server.
const maxMemo = 1 << 16

// memo is what was compiled for many at once, with what that read: until something of that changes, whoever is compiled again shares it with
// those that were compiled before.
type memo struct {
	entries map[any]memoEntry
	// readers are the keys of what read a dependency.
	readers map[dependency]map[any]struct{}
}

type memoEntry struct {
	value any
	read  map[dependency]struct{}
}

func newMemo() *memo {
	return &memo{entries: map[any]memoEntry{}, readers: map[dependency]map[any]struct{}{}}
}

func (m *memo) set(key any, e memoEntry) {
	m.entries[key] = e
	for d := range e.read {
		if m.readers[d] == nil {
			m.readers[d] = map[any]struct{}{}
		}
		m.readers[d][key] = struct{}{}
	}
}

// forget drops what read any of the dependencies.
func (m *memo) forget(changed []dependency) {
	if len(m.entries) > maxMemo {
		*m = *newMemo()
	}
	for _, d := range changed {
		for key := range m.readers[d] {
			m.remove(key)
		}
	}
}

func (m *memo) remove(key any) {
	for d := range m.entries[key].read {
		delete(m.readers[d], key)
		if len(m.readers[d]) == 0 {
			delete(m.readers, d)
		}
	}
	delete(m.entries, key)
}
