package tenancy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// page reads the page's table.
func page(t *testing.T) []Cell {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, Page))
	if err != nil {
		t.Fatal(err)
	}
	cells, err := Cells(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return cells
}

// verbsFor are all verbs that a resource knows.
func verbsFor(resource string) []string {
	switch {
	case resource == "oauthclients/status":
		return append(verbsFor("/"), patchUsage)
	case strings.Contains(resource, "/"):
		return []string{"get", "update", "patch"}
	case resource == "resourceservers":
		return append(verbsFor(""), "review")
	}
	return slices.Concat(words()["read"], words()["write"])
}

// allows says whether a cell has the verb, or one that it is part of.
func (c Cell) allows(verb string) bool {
	return slices.Contains(c.Verbs, verb) || verb == patchUsage && slices.Contains(c.Verbs, "patch")
}

// Each cell of the page is what the cluster does: the verbs in it work, and all others are refused.
func TestEveryCell(t *testing.T) {
	for _, c := range page(t) {
		t.Run(c.Actor+" "+c.Resource+" in "+c.Place, func(t *testing.T) {
			who := actorNamed(c.Actor)
			if who.user == "" {
				t.Fatalf("%s has a column and is nobody here", c.Actor)
			}
			for _, verb := range verbsFor(c.Resource) {
				switch err := try(t.Context(), who, c, verb); {
				case err != nil && !apierrors.IsForbidden(err):
					t.Errorf("%s: %v", verb, err)
				case (err == nil) != c.allows(verb):
					t.Errorf("%s: the page has %v, the cluster says: %v", verb, c.Verbs, err)
				}
			}
			if texts := warned.take(); len(texts) > 0 {
				t.Errorf("kube-apiserver warns: %v", texts)
			}
			for _, verb := range c.Verbs {
				if !slices.Contains(verbsFor(c.Resource), verb) {
					t.Errorf("%s is no verb of %s", verb, c.Resource)
				}
			}
		})
	}
}

// The server faces the network: it reads the Secrets of its own namespace, writes none, and has no right to any other.
func TestServerReadsSecretsOfItsOwnNamespaceOnly(t *testing.T) {
	client, err := clientset()
	if err != nil {
		t.Fatal(err)
	}
	namespaces, err := client.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	where := []string{"", "of-no-existence"} // an empty namespace is all of them
	for _, namespace := range namespaces.Items {
		where = append(where, namespace.Name)
	}
	verbs := append(verbsFor("secrets"), "*")
	server := actorNamed("latchkey-server")
	for _, namespace := range where {
		for _, name := range []string{"", present, "latchkey-keys-default"} {
			for _, verb := range verbs {
				what := authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "secrets", Name: name}
				want := namespace == operatorNamespace && slices.Contains(words()["read"], verb)
				if err := ask(t.Context(), server, what); (err == nil) != want {
					t.Errorf("%s secrets %q in %q: %v", verb, name, namespace, err)
				}
			}
		}
	}
}

// Rights that would lead to more rights, or to Secrets by another way.
func TestServerHasNoWayAround(t *testing.T) {
	server := actorNamed("latchkey-server")
	for _, what := range []authorizationv1.ResourceAttributes{
		{Verb: "create", Resource: "pods"},
		{Verb: "create", Resource: "pods", Subresource: "exec"},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token"},
		{Verb: "create", Group: "apps", Resource: "deployments"},
		{Verb: "patch", Group: "apps", Resource: "deployments"},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings"},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "roles"},
		{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "impersonate", Resource: "users"},
		{Verb: "impersonate", Resource: "groups"},
		{Verb: "impersonate", Resource: "serviceaccounts"},
		{Verb: "create", Group: "certificates.k8s.io", Resource: "certificatesigningrequests"},
		{Verb: "get", Resource: "nodes", Subresource: "proxy"},
	} {
		for _, namespace := range []string{"", operatorNamespace, "team", "kube-system"} {
			what.Namespace = namespace
			if err := ask(t.Context(), server, what); !apierrors.IsForbidden(err) {
				t.Errorf("%s %s/%s in %q: %v", what.Verb, what.Resource, what.Subresource, namespace, err)
			}
		}
	}
}
