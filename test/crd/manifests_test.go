package crd

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// rendered builds a kustomization.
func rendered(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	text, _, err := cluster.Kubectl(t.Context(), "kustomize", filepath.Join(root(t), "config", name))
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(text, "\n---\n") {
		var object unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &object)
	}
	return objects
}

func key(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}

// convert reads the objects of a kind into their Go type.
func convert[T any](t *testing.T, objects []*unstructured.Unstructured, kind string) map[string]*T {
	t.Helper()
	found := map[string]*T{}
	for _, object := range objects {
		if object.GetKind() != kind {
			continue
		}
		typed := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
			t.Fatal(err)
		}
		found[object.GetName()] = typed
	}
	if len(found) == 0 {
		t.Fatalf("no %s", kind)
	}
	return found
}

func TestEveryDefinitionIsInstalled(t *testing.T) {
	installed := map[string]bool{}
	for _, object := range rendered(t, "crd") {
		installed[object.GetName()] = true
	}
	for _, definition := range definitions(t) {
		if !installed[definition.Name] {
			t.Errorf("config/crd does not install %s", definition.Name)
		}
	}
}

// Applying twice changes nothing, so that a GitOps tool sees no drift.
func TestManifestsApplyCleanlyAndStayQuiet(t *testing.T) {
	t.Cleanup(func() { // other tests have an issuer of their own called default
		samples := filepath.Join(root(t), "config", "samples")
		if _, _, err := cluster.Kubectl(context.Background(), "delete", "--wait", "-k", samples); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"crd", "default", "local", "samples"} {
		path := filepath.Join(root(t), "config", name)
		_, warnings, err := cluster.Kubectl(t.Context(), "apply", "--server-side", "--validate=strict", "-k", path)
		if err != nil || warnings != "" {
			t.Errorf("apply %s: %v\n%s", name, err, warnings)
		}
		difference, warnings, err := cluster.Kubectl(t.Context(), "diff", "--server-side", "-k", path)
		if err != nil || difference != "" || warnings != "" {
			t.Errorf("a second apply of %s would change something: %v\n%s%s", name, err, difference, warnings)
		}
	}
}

func TestDefaultDeclaresNothingOfOurKinds(t *testing.T) {
	for _, name := range []string{"default", "local"} {
		for _, object := range rendered(t, name) {
			if object.GroupVersionKind().Group == ours {
				t.Errorf("%s holds %s", name, key(object))
			}
		}
	}
}

func TestLocalIsDefaultWithoutWorkloads(t *testing.T) {
	workloads := []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"}
	want, got := map[string]bool{}, map[string]bool{}
	for _, object := range rendered(t, "default") {
		if !slices.Contains(workloads, object.GetKind()) {
			want[key(object)] = true
		}
	}
	for _, object := range rendered(t, "local") {
		got[key(object)] = true
	}
	if !maps.Equal(want, got) {
		t.Errorf("local has %v, default %v", got, want)
	}
}

// The namespace enforces the restricted Pod Security Standard: what it takes there, it takes elsewhere.
func TestPodsMeetTheRestrictedPodSecurityStandard(t *testing.T) {
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), operatorNamespace, metav1.GetOptions{})
	if err != nil || namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Fatalf("the namespace does not enforce it: %v, %v", namespace.Labels, err)
	}
	for name, deployment := range convert[appsv1.Deployment](t, rendered(t, "default"), "Deployment") {
		template := deployment.Spec.Template
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: template.Labels}, Spec: template.Spec}
		if _, err := client.CoreV1().Pods(operatorNamespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, container := range template.Spec.Containers {
			if context := container.SecurityContext; context == nil || context.ReadOnlyRootFilesystem == nil || !*context.ReadOnlyRootFilesystem {
				t.Errorf("%s can write to its root filesystem", name)
			}
			if container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s has no memory request or limit", name)
			}
		}
	}
}

func TestServiceReachesTheServer(t *testing.T) {
	objects := rendered(t, "default")
	server := convert[appsv1.Deployment](t, objects, "Deployment")["latchkey-server"]
	service := convert[corev1.Service](t, objects, "Service")["latchkey-server"]
	if !maps.Equal(service.Spec.Selector, server.Spec.Template.Labels) {
		t.Errorf("the Service selects %v, the pods are %v", service.Spec.Selector, server.Spec.Template.Labels)
	}
	ports := map[string]int32{}
	for _, port := range server.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	want := map[int32]int32{443: 8443, 9443: 9443}
	for _, port := range service.Spec.Ports {
		if port.TargetPort.Type != intstr.String || ports[port.TargetPort.StrVal] != want[port.Port] {
			t.Errorf("port %d goes to %s", port.Port, port.TargetPort.String())
		}
	}
}

// What the OpenID suite needs is applied by hand, so nothing else would notice.
func TestManifestsOfTheConformanceSuite(t *testing.T) {
	apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: conformance}}")
	file := filepath.Join(root(t), "test", "conformance", "manifests.yaml")
	if _, _, err := cluster.Kubectl(t.Context(), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", file); err != nil {
		t.Error(err)
	}
}

// README's first lines of YAML are taken as they are.
func TestYAMLInTheREADME(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("no YAML")
	}
	for _, namespace := range []string{"shop", "demo"} {
		apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+namespace+"}}")
	}
	for _, block := range blocks {
		manifest, _, _ := strings.Cut(block, "```")
		if !strings.Contains(manifest, ours) {
			continue
		}
		_, _, err := cluster.KubectlInput(t.Context(), strings.NewReader(manifest), "apply", "--dry-run=server", "--validate=strict", "-f", "-")
		if err != nil {
			t.Errorf("%v\n%s", err, manifest)
		}
	}
}
