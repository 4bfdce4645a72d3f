package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	// block is a block of code on a page: commands, or what the commands before it print.
	block = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)\n```$")
	// manifest is a block of YAML.
	manifest = regexp.MustCompile("(?ms)^```yaml\n(.*?)\n```$")
)

// page is a page of the documentation whose commands a test follows, as a reader would.
type page struct {
	t *testing.T
	// dir is where the reader is.
	dir      string
	sections map[string]string
}

// openPage reads a page. The test fails unless it follows all the sections that have commands.
func openPage(t *testing.T, name string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(live.Root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	p := &page{t: t, dir: t.TempDir(), sections: map[string]string{}}
	for section := range strings.SplitSeq("\n"+string(text), "\n## ") {
		heading, body, _ := strings.Cut(section, "\n")
		if strings.Contains(body, "```sh\n") {
			p.sections[heading] = body
		}
	}
	t.Cleanup(func() {
		if !t.Failed() && len(p.sections) > 0 {
			t.Errorf("%s: nobody followed %v", name, slices.Sorted(maps.Keys(p.sections)))
		}
	})
	return p
}

// follow runs the commands of a section, and compares what they print with what the page says that they do.
func (p *page) follow(heading string) {
	p.t.Helper()
	body, found := p.sections[heading]
	if !found {
		p.t.Fatalf("the page has no commands below %q", heading)
	}
	delete(p.sections, heading)
	var printed string
	for _, m := range block.FindAllStringSubmatch(body, -1) {
		if m[1] == "sh" {
			printed = p.run(m[2])
			continue
		}
		for line := range strings.Lines(m[2]) {
			if !strings.Contains(squeezed(printed), squeezed(line)) {
				p.t.Errorf("%s: %q is not in what is printed:\n%s", heading, line, printed)
			}
		}
	}
}

// squeezed is a text with one space where there are several.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// run runs commands in a shell, as cluster-admin, and stops at the first that fails.
func (p *page) run(commands string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+live.Kubeconfig, "PATH="+filepath.Join(live.Root, ".local", "bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%v\n%s\n%s", err, commands, out)
	}
	return string(out)
}

// existing is a namespace that a page makes.
func existing(t *testing.T, namespace string) tenant {
	t.Helper()
	atEnd(t, "delete", "namespace", namespace, "--ignore-not-found", "--wait")
	return tenant{t, namespace}
}

func TestAccessPage(t *testing.T) {
	existing(t, "shop")
	existing(t, "web")
	p := openPage(t, "access.md")
	rules := manifest.FindStringSubmatch(p.sections["Rules"])
	for _, section := range []string{"Nothing is allowed by itself", "The owner allows it", "Rules", "Who has access", "Take it back"} {
		p.follow(section)
	}
	if rules == nil {
		t.Fatal("there is no example of rules")
	}
	kubectl(t, "", "patch", "resourceserver", "orders", "-n", "shop", "--type=merge", "--dry-run=server", "--patch", "spec:\n  "+strings.ReplaceAll(rules[1], "\n", "\n  "))
}

func TestSecretsPage(t *testing.T) {
	web := existing(t, "web")
	p := openPage(t, "secrets.md")
	for _, section := range []string{"As the application wants to read it", "Rotate it", "One that leaked", "Bring one"} {
		p.follow(section)
	}
	if web.secret("reports-oauth").Labels["app.kubernetes.io/managed-by"] != "" {
		t.Error("the Secret that was brought has been written")
	}
}

func TestExchangePage(t *testing.T) {
	for _, namespace := range []string{"web", "shop", "stock"} {
		existing(t, namespace)
	}
	p := openPage(t, "exchange.md")
	for _, section := range []string{"What each team declares", "The exchange", "What is refused", "Names that do not exist"} {
		p.follow(section)
	}
}

func TestGitOpsPage(t *testing.T) {
	web := existing(t, "web")
	p := openPage(t, "gitops.md")
	for _, section := range []string{"Any order", "A diff stays quiet", "Health", "Back up"} {
		p.follow(section)
	}
	before := web.secret("storefront-oauth")
	kubectl(t, "", "delete", "namespace", "web", "--wait")
	p.follow("Restore")
	after := web.secret("storefront-oauth")
	if !maps.EqualFunc(before.Data, after.Data, slices.Equal) {
		t.Error("the Secret is another one after the restore")
	}
	owner, err := web.clients().Get(t.Context(), "storefront", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if owners := after.OwnerReferences; len(owners) != 1 || owners[0].UID != owner.GetUID() {
		t.Errorf("the Secret's owners: %+v", owners)
	}
}
