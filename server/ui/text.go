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
	marks, shown := 0, 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case invisible(r):
			continue
		}
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if marks > maxCombiningRun {
			continue
		}
		if shown++; shown > maxText {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// invisible characters don't belong in a name: controls, bidirectional overrides, isolates and marks, tags, blanks that
// look like nothing. The joiners stay, for Indic scripts, Persian and emoji are not written without them.
func invisible(r rune) bool {
	switch r {
	case '\u200c', '\u200d':
		return false
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u034f', '\u2800':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}
