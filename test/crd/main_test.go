// Package crd tests what is declared rather than programmed: the kinds' CEL rules, the manifests in config, RBAC and the
// admission policies, on a real Kubernetes control plane.
package crd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

const operatorNamespace = "latchkey-system"

var cluster *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{Manifests: []string{"config/crd"}}, func(cp *controlplane.ControlPlane) error {
		cluster = cp
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := cp.Apply(ctx, "config/default"); err != nil {
			return err
		}
		return policiesInForce(ctx)
	}))
}

// policiesInForce waits until the API server has taken up the admission policies, which it does a moment after they are stored.
func policiesInForce(ctx context.Context) error {
	grants, err := resources(cluster.RESTConfig(), "oauthgrants", operatorNamespace)
	if err != nil {
		return err
	}
	var last error
	inForce := func(ctx context.Context) (bool, error) {
		_, last = grants.Create(ctx, grant("probe"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return last != nil && strings.Contains(last.Error(), "only Latchkey writes OAuthGrants"), nil
	}
	if err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, inForce); err != nil {
		return fmt.Errorf("the admission policies are not in force: %w", errors.Join(err, last))
	}
	return nil
}

// resources is a client for one of our resources as the given user. An empty namespace is for the cluster-scoped ones.
func resources(config *rest.Config, resource, namespace string) (dynamic.ResourceInterface, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ours := client.Resource(schema.GroupVersionResource{Group: "oauth.latchkey.io", Version: "v1alpha1", Resource: resource})
	if namespace == "" {
		return ours, nil
	}
	return ours.Namespace(namespace), nil
}

// as is the client of a resource for an impersonated user.
func as(t *testing.T, user, resource, namespace string) dynamic.ResourceInterface {
	t.Helper()
	config := cluster.RESTConfig()
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	}
	client, err := resources(config, resource, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func grant(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "oauth.latchkey.io/v1alpha1",
		"kind":       "OAuthGrant",
		"metadata":   map[string]any{"name": name},
		"spec": map[string]any{
			"authorizationServerName": "default",
			"clientID":                "demo.print-shop",
			"clientUID":               "11111111-2222-3333-4444-555555555555",
			"user":                    map[string]any{"name": "alice", "uid": "66666666-7777-8888-9999-000000000000"},
			"authTime":                "2026-01-01T00:00:00Z",
			"issuedAt":                "2026-01-01T00:00:30.000000Z",
			"expiresAt":               "2026-01-01T01:00:00Z",
			"attempt":                 "a",
		},
	}}
}

// apply applies manifests as cluster-admin.
func apply(t *testing.T, manifests string) {
	t.Helper()
	if _, _, err := cluster.KubectlInput(t.Context(), strings.NewReader(manifests), "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true,
		func(ctx context.Context) (bool, error) { return condition(ctx), nil })
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// applyAs applies manifests as somebody else.
func applyAs(ctx context.Context, user, manifests string) error {
	_, _, err := cluster.KubectlInput(ctx, strings.NewReader(manifests), "apply", "--server-side", "--as="+user, "--as-group=system:authenticated", "-f", "-")
	return err
}
