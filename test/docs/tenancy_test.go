package docs

import (
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/test/tenancy"
)

// places are the places of a resource that the page must speak of.
func places(definition apiextensionsv1.CustomResourceDefinition) []string {
	switch name := definition.Spec.Names.Plural; {
	case definition.Spec.Scope == apiextensionsv1.ClusterScoped:
		return []string{tenancy.Cluster}
	case name == "oauthgrants" || name == "oauthdeviceauthorizations" || name == "oauthsignouts":
		return []string{tenancy.Operator, tenancy.Team}
	}
	return []string{tenancy.Team, tenancy.Another}
}

// Every kind and subresource has a row for each place that matters, and every row a cell for each actor. That the cells are true
// is tested against a cluster in test/tenancy.
func TestTenancyPageIsWhole(t *testing.T) {
	dir := root(t)
	cells, err := tenancy.Cells(read(t, filepath.Join(dir, tenancy.Page)))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string][]string{"secrets": {tenancy.Team, tenancy.Another, tenancy.Operator}}
	files, err := filepath.Glob(filepath.Join(dir, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions: %v", err)
	}
	for _, file := range files {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(read(t, file)), &definition); err != nil {
			t.Fatal(err)
		}
		wanted[definition.Spec.Names.Plural] = places(definition)
		for _, version := range definition.Spec.Versions {
			if version.Subresources != nil && version.Subresources.Status != nil {
				wanted[definition.Spec.Names.Plural+"/status"] = places(definition)
			}
		}
	}
	actors := []string{
		"viewer of the namespace", "editor of the namespace", "admin of the namespace", "cluster-admin", "latchkey-controller", "latchkey-server",
	}
	total := 0
	for resource, places := range wanted {
		for _, place := range places {
			for _, actor := range actors {
				total++
				same := func(c tenancy.Cell) bool { return c.Resource == resource && c.Place == place && c.Actor == actor }
				if !slices.ContainsFunc(cells, same) {
					t.Errorf("there is no cell for %s in %s, %s", resource, place, actor)
				}
			}
		}
	}
	if len(cells) != total {
		t.Errorf("the page has %d cells, not %d: a row twice, or of something unknown", len(cells), total)
	}
}
