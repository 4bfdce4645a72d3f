// Package together puts texts next to each other in memory. What a server holds 100,000 of is looked at by each collection of garbage, text
// by text: those that come and go together need be one object only.
package together

import "strings"

// Put makes the texts parts of one, which stays in memory for as long as any of them.
func Put(texts ...*string) {
	size := 0
	for _, t := range texts {
		size += len(*t)
	}
	var all strings.Builder
	all.Grow(size)
	for _, t := range texts {
		all.WriteString(*t)
	}
	rest := all.String()
	for _, t := range texts {
		n := len(*t)
		*t, rest = rest[:n], rest[n:]
	}
}
