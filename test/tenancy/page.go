// Package tenancy holds docs/tenancy.md to a real cluster: the page says who may do what, and each cell of its table is tried.
package tenancy

import (
	"fmt"
	"slices"
	"strings"
)

// Page is where the table is, from the repository's root.
const Page = "docs/tenancy.md"

// Places that the second column names.
const (
	Team     = "the team's namespace"
	Another  = "another namespace"
	Operator = "`latchkey-system`"
	Cluster  = "the cluster"
)

// heading is above the table.
const heading = "## Who may do what"

// none is how a cell says that nothing is allowed.
const none = "–"

// patchUsage is the patch of one field of a status that is refused any other.
const patchUsage = "patch of `secretUsage`"

// words are those of a cell that stand for several verbs.
func words() map[string][]string {
	return map[string][]string{
		"read":  {"get", "list", "watch"},
		"write": {"create", "update", "patch", "delete", "deletecollection"},
	}
}

// Cell is one cell of the table: all that Actor may do to Resource, which ends with a slash and the subresource where it is one.
type Cell struct {
	Resource, Place, Actor string
	// Verbs are those allowed. All others are not.
	Verbs []string
}

// Cells reads the table out of the page. Verbs come back one by one, whatever word the page has for them.
func Cells(page string) ([]Cell, error) {
	rows := table(page)
	if len(rows) < 3 {
		return nil, fmt.Errorf("%s: no table below %q", Page, heading)
	}
	var cells []Cell
	actors := rows[0]
	for _, row := range rows[2:] {
		if len(row) != len(actors) || len(row) < 3 {
			return nil, fmt.Errorf("%s: %d cells, not %d: %v", Page, len(row), len(actors), row)
		}
		for i := 2; i < len(row); i++ {
			verbs, err := verbsOf(row[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %s in %s, %s: %w", Page, row[0], row[1], actors[i], err)
			}
			cells = append(cells, Cell{Resource: strings.Trim(row[0], "`"), Place: row[1], Actor: strings.Trim(actors[i], "`"), Verbs: verbs})
		}
	}
	return cells, nil
}

// table is the first table below the heading, row by row.
func table(page string) [][]string {
	_, below, _ := strings.Cut(page, heading+"\n")
	var rows [][]string
	for line := range strings.Lines(below) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 {
				break
			}
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}

func verbsOf(cell string) ([]string, error) {
	if cell == none {
		return nil, nil
	}
	several := words()
	var verbs []string
	for word := range strings.SplitSeq(cell, ", ") {
		switch {
		case several[word] != nil:
			verbs = append(verbs, several[word]...)
		case word == "review" || word == patchUsage || slices.Contains(several["read"], word) || slices.Contains(several["write"], word):
			verbs = append(verbs, word)
		default:
			return nil, fmt.Errorf("%q is no verb", word)
		}
	}
	return verbs, nil
}
