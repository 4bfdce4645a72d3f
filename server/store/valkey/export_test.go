package valkey

// Remembers says whether the grant would be answered from memory.
func (s *Store) Remembers(id string) bool { return s.cache.get(id) != nil }
