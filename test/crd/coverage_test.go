package crd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// Every CEL rule has a row in one of the tables beside this file.
func TestEveryRuleHasARow(t *testing.T) {
	var tests strings.Builder
	for _, file := range mustGlob(t, "*_test.go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, definition := range definitions(t) {
		for _, version := range definition.Spec.Versions {
			for _, message := range messages(version.Schema.OpenAPIV3Schema) {
				// Tables may quote the beginning of a long message.
				if beginning := message[:min(len(message), 40)]; !strings.Contains(tests.String(), beginning) && !strings.Contains(tests.String(), ending(message)) {
					t.Errorf("%s: no row for the rule %q", definition.Spec.Names.Kind, message)
				}
			}
		}
	}
}

func ending(message string) string { return message[max(0, len(message)-35):] }

// messages of all rules at and below a schema.
func messages(schema *apiextensionsv1.JSONSchemaProps) []string {
	if schema == nil {
		return nil
	}
	var found []string
	for _, rule := range schema.XValidations {
		found = append(found, rule.Message)
	}
	for _, property := range schema.Properties {
		found = append(found, messages(&property)...)
	}
	if schema.Items != nil {
		found = append(found, messages(schema.Items.Schema)...)
	}
	if schema.AdditionalProperties != nil {
		found = append(found, messages(schema.AdditionalProperties.Schema)...)
	}
	return found
}

// definitions are the CustomResourceDefinitions of config/crd.
func definitions(t *testing.T) []apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	var found []apiextensionsv1.CustomResourceDefinition
	for _, file := range mustGlob(t, filepath.Join(root(t), "config", "crd", "bases", "*.yaml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &definition); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found = append(found, definition)
	}
	return found
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return files
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
