package ui

import (
	"strings"
	"unicode"
)

const (
	maxText         = 512 // characters shown of a text that somebody else wrote
	maxCombiningRun = 4   // marks on one character: enough for every living script
)

// plain makes a text that somebody else wrote harmless to read: without control and formatting characters, with which a
// name could change direction, hide a part of itself or break out of its line, and without towers of combining marks.
func plain(s string) string {
	var b strings.Builder
	last, marks, shown := ' ', 0, 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if unicode.IsSpace(r) {
			r = ' '
		}
		switch {
		case invisible(r):
			continue
		case joiner(r) && (last == ' ' || joiner(last)): // joins nothing
			continue
		case !unicode.Is(unicode.M, r):
			marks = 0
		case last == ' ' || marks == maxCombiningRun: // on nothing, or one too many
			continue
		default:
			marks++
		}
		if shown++; shown > maxText {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
		last = r
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// joiner characters stay where they stand in a word: Indic scripts, Persian and emoji are not written without them.
func joiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// invisible characters don't belong in a name: controls, bidirectional overrides, isolates and marks, tags, blanks that
// look like nothing.
func invisible(r rune) bool {
	switch r {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u034f', '\u2800':
		return true
	}
	return !joiner(r) && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}
