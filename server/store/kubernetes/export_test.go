package kubernetes

// SawDeleted says whether the watch has told that the id was deleted.
func (s *Store) SawDeleted(id string) bool { return s.index.buried(id) }

// SawDeleted says whether the watch has told that the name was deleted.
func (s *Devices) SawDeleted(name string) bool { return s.index.buried(name) }

// MaxCalls is how many changes are under way at once.
const MaxCalls = maxCalls
