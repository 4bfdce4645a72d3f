// Package docs holds the documentation to the tree.
package docs

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	// named matches a package in backquotes, main for the program's, or the name of a test, which belongs to the package before it.
	testName = regexp.MustCompile(`\bTest[A-Z]\w+`)
	named    = regexp.MustCompile("`((?:server|controllers|test|hack|api)[a-z0-9/]*|main)`|\\b(Test[A-Z]\\w+)")
	declared = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	link     = regexp.MustCompile(`\]\(([^)#:]+)[^):]*\)`)
	anchor   = regexp.MustCompile(`\]\(([^)#:]*)#([^)]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// pagesOfClaims are the pages whose tables end with the tests that hold what a row claims.
func pagesOfClaims() []string {
	return []string{"security.md", "standards.md", "tenancy.md", "reliability.md", "limits.md"}
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	dir := root(t)
	for _, page := range pagesOfClaims() {
		var tests []string
		for _, match := range named.FindAllStringSubmatch(read(t, filepath.Join(dir, "docs", page)), -1) {
			if pkg := match[1]; pkg != "" {
				tests = testsOf(t, filepath.Join(dir, strings.TrimPrefix(pkg, "main")))
				continue
			}
			if !slices.Contains(tests, match[2]) {
				t.Errorf("%s: there is no %s", page, match[2])
			}
		}
	}
}

// A row of a table whose last column is headed `test` names one at least.
func TestEveryRowNamesATest(t *testing.T) {
	dir := root(t)
	for _, page := range pagesOfClaims() {
		checked, inTable := 0, false
		for line := range strings.Lines(read(t, filepath.Join(dir, "docs", page))) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			last := strings.TrimSpace(cells[len(cells)-1])
			switch {
			case !strings.HasPrefix(line, "|"):
				inTable = false
			case last == "test":
				inTable = true
			case inTable && (last == "" || strings.Trim(last, "-") != ""):
				checked++
				if !testName.MatchString(last) {
					t.Errorf("%s: no test is named in %s", page, line)
				}
			}
		}
		if checked == 0 {
			t.Errorf("%s: no row is checked", page)
		}
	}
}

// testsOf are the tests of a package.
func testsOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		for _, match := range declared.FindAllStringSubmatch(read(t, file), -1) {
			names = append(names, match[1])
		}
	}
	return names
}

// pages are the README and all pages of documentation.
func pages(t *testing.T) []string {
	t.Helper()
	dir := root(t)
	found := []string{filepath.Join(dir, "README.md")}
	err := filepath.WalkDir(filepath.Join(dir, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		text := read(t, page)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		for _, match := range anchor.FindAllStringSubmatch(text, -1) {
			target := page
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(page), match[1])
			}
			if !slices.Contains(anchors(t, target), match[2]) {
				t.Errorf("%s: %s has no heading #%s", page, target, match[2])
			}
		}
	}
}

// anchors are those of a page's headings, as GitHub makes them.
func anchors(t *testing.T, page string) (out []string) {
	t.Helper()
	for _, match := range heading.FindAllStringSubmatch(read(t, page), -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, match[1])
		out = append(out, kept)
	}
	return out
}

// Whoever reads the README finds every page from there.
func TestEveryPageIsLinkedInTheREADME(t *testing.T) {
	readme := read(t, filepath.Join(root(t), "README.md"))
	for _, page := range pages(t)[1:] {
		if name := "docs/" + filepath.Base(page); !strings.Contains(readme, "]("+name) {
			t.Errorf("the README has no link to %s", name)
		}
	}
}

// Every direct dependency is explained.
func TestEveryDependencyIsExplained(t *testing.T) {
	dir := root(t)
	explained := read(t, filepath.Join(dir, "docs", "dependencies.md"))
	for _, file := range []string{"go.mod", "test/go.mod"} {
		for line := range strings.Lines(read(t, filepath.Join(dir, file))) {
			fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
			if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") || strings.HasPrefix(fields[0], build.ModulePath) {
				continue
			}
			if name := strings.TrimPrefix(fields[0], "k8s.io/"); !strings.Contains(explained, name) {
				t.Errorf("%s: %s is not in docs/dependencies.md", file, fields[0])
			}
		}
	}
}

// Every package of npm is explained.
func TestEveryNPMDependencyIsExplained(t *testing.T) {
	dir := root(t)
	explained := read(t, filepath.Join(dir, "docs", "dependencies.md"))
	var declared struct{ Dependencies, OptionalDependencies map[string]string }
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "test", "interop", "package.json"))), &declared); err != nil {
		t.Fatal(err)
	}
	maps.Copy(declared.Dependencies, declared.OptionalDependencies)
	if len(declared.Dependencies) == 0 {
		t.Error("there is none")
	}
	for name := range declared.Dependencies {
		if !strings.Contains(explained, name) {
			t.Errorf("%s is not in docs/dependencies.md", name)
		}
	}
}
