package crd

import (
	"encoding/json"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// kind is a kind with an object that is as it should be.
type kind struct {
	kind, resource, namespace, good string
}

// rule is a change to a good object, and how the API server must answer: with this message, or by accepting it when empty.
type rule struct {
	name string
	// patch is a JSON merge patch of the spec, in YAML.
	patch   string
	message string
	// objectName is another name than usual.
	objectName string
}

// change is a change that is refused after the object was made.
type change struct {
	name          string
	before, after string
	message       string
}

func (k kind) object(t *testing.T, name, patch string) *unstructured.Unstructured {
	t.Helper()
	spec := mustJSON(t, k.good)
	if patch != "" {
		var err error
		if spec, err = jsonpatch.MergePatch(spec, mustJSON(t, patch)); err != nil {
			t.Fatal(err)
		}
	}
	var fields map[string]any
	if err := json.Unmarshal(spec, &fields); err != nil {
		t.Fatal(err)
	}
	metadata := map[string]any{"name": name}
	if k.namespace != "" {
		metadata["namespace"] = k.namespace
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ours + "/v1alpha1", "kind": k.kind, "metadata": metadata, "spec": fields,
	}}
}

func mustJSON(t *testing.T, text string) []byte {
	t.Helper()
	out, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// check creates each object as a dry run.
func (k kind) check(t *testing.T, rules []rule) {
	t.Helper()
	user := ""
	if k.namespace == operatorNamespace { // only the server writes there
		user = serverAccount
	}
	client := as(t, user, k.resource, k.namespace)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			name := r.objectName
			if name == "" {
				name = "sample"
			}
			options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
			_, err := client.Create(t.Context(), k.object(t, name, r.patch), options)
			judge(t, err, r.message)
		})
	}
}

// checkChanges creates each object and then changes it.
func (k kind) checkChanges(t *testing.T, changes []change) {
	t.Helper()
	client := as(t, "", k.resource, k.namespace)
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			made, err := client.Create(t.Context(), k.object(t, "changed", c.before), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			changed := k.object(t, "changed", c.after)
			changed.SetResourceVersion(made.GetResourceVersion())
			_, err = client.Update(t.Context(), changed, metav1.UpdateOptions{})
			judge(t, err, c.message)
			if err := client.Delete(t.Context(), "changed", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func judge(t *testing.T, err error, message string) {
	t.Helper()
	switch {
	case message == "" && err != nil:
		t.Errorf("refused: %v", err)
	case message != "" && err == nil:
		t.Error("accepted")
	case message != "" && (!apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), message)):
		t.Errorf("refused for another reason: %v", err)
	}
}
