package compile

import "strings"

// Memory is a World that remembers what was compiled with it, until something changes that was read for that: an API is compiled once for
// all of its clients, which then share it.
type Memory interface {
	World
	// Recall returns what compiled returned for the key before, and calls it the first time. What compiled reads, it reads through the
	// World that it is given.
	Recall(key any, compiled func(World) any) any
}

// Keys for Recall: an AuthorizationServer, whether it accepts a namespace, a ResourceServer at an AuthorizationServer, and a list of texts.
type (
	configKey     struct{ server string }
	acceptanceKey struct{ server, namespace string }
	resourceKey   struct{ namespace, name, server string }
	textsKey      string
)

// recall compiles once for each key where the World has a memory.
func recall[V any](w World, key any, compiled func(World) V) V {
	m, ok := w.(Memory)
	if !ok {
		return compiled(w)
	}
	return m.Recall(key, func(w World) any { return compiled(w) }).(V)
}

// sharedTexts is one list for all who have the same in it, which must not be changed.
func sharedTexts[T ~string](w World, values []T) []string {
	list := texts(values)
	return recall(w, textsKey(strings.Join(list, "\x00")), func(World) []string { return list })
}
