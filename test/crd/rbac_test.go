package crd

import (
	"context"
	"fmt"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// right is one question to RBAC: may the user do these verbs to a resource ("group/resource" or "group/resource/subresource")?
type right struct {
	user      string
	verbs     []string
	group     string
	resource  string
	sub       string
	namespace string
	want      bool
}

func (r right) String() string {
	return fmt.Sprintf("%s %v %s.%s/%s in %q", r.user, r.verbs, r.resource, r.group, r.sub, r.namespace)
}

const ours = "oauth.latchkey.io"

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "update", "patch", "delete"}
)

// serverRights: the server faces the network. It reads what is declared, keeps grants, and sees no tenant's Secret.
func serverRights() []right {
	rights := []right{
		{user: serverAccount, verbs: read, resource: "secrets", namespace: operatorNamespace, want: true},
		{user: serverAccount, verbs: read, resource: "secrets", namespace: "tenant"},
		{user: serverAccount, verbs: read, resource: "secrets", namespace: "kube-system"},
		{user: serverAccount, verbs: read, resource: "secrets"},
		{user: serverAccount, verbs: write, resource: "secrets", namespace: operatorNamespace},
		{user: serverAccount, verbs: read, resource: "namespaces", want: true},
		{user: serverAccount, verbs: []string{"create"}, group: "authentication.k8s.io", resource: "tokenreviews", want: true},
		{user: serverAccount, verbs: []string{"create"}, group: "authorization.k8s.io", resource: "subjectaccessreviews", want: true},
		{user: serverAccount, verbs: append(write, read...), resource: "serviceaccounts"},
		{user: serverAccount, verbs: []string{"create"}, resource: "serviceaccounts", sub: "token", namespace: "tenant"},
		{user: serverAccount, verbs: []string{"impersonate"}, resource: "users"},
		{user: serverAccount, verbs: read, resource: "pods", namespace: operatorNamespace},
	}
	for _, resource := range []string{"oauthgrants", "oauthdeviceauthorizations", "oauthsignouts"} {
		rights = append(rights,
			right{user: serverAccount, verbs: append(read, "create"), group: ours, resource: resource, namespace: operatorNamespace, want: true},
			right{user: serverAccount, verbs: []string{"update", "patch", "delete", "deletecollection"}, group: ours, resource: resource, namespace: operatorNamespace},
			right{user: serverAccount, verbs: []string{"patch"}, group: ours, resource: resource, sub: "status", namespace: operatorNamespace, want: true},
			right{user: serverAccount, verbs: []string{"get", "update"}, group: ours, resource: resource, sub: "status", namespace: operatorNamespace},
			right{user: serverAccount, verbs: append(read, "create"), group: ours, resource: resource, namespace: "tenant"},
		)
	}
	for _, resource := range []string{"authorizationservers", "localusers", "oauthclients", "resourceservers"} {
		rights = append(rights,
			right{user: serverAccount, verbs: read, group: ours, resource: resource, want: true},
			right{user: serverAccount, verbs: write, group: ours, resource: resource},
			right{user: serverAccount, verbs: []string{"get", "update"}, group: ours, resource: resource, sub: "status"},
			// The admission policy leaves secretUsage of it.
			right{user: serverAccount, verbs: []string{"patch"}, group: ours, resource: resource, sub: "status", want: resource == "oauthclients"},
		)
	}
	return rights
}

// controllerRights: the controller writes status, and the Secrets that clients are given.
func controllerRights() []right {
	rights := []right{
		{user: controllerAccount, verbs: append(read, "create", "update", "delete"), resource: "secrets", namespace: "tenant", want: true},
		{user: controllerAccount, verbs: []string{"patch", "deletecollection"}, resource: "secrets", namespace: "tenant"},
		{user: controllerAccount, verbs: []string{"get", "create", "update"}, group: "coordination.k8s.io", resource: "leases", namespace: operatorNamespace, want: true},
		{user: controllerAccount, verbs: []string{"get", "create", "update"}, group: "coordination.k8s.io", resource: "leases", namespace: "kube-system"},
		{user: controllerAccount, verbs: []string{"patch"}, group: "coordination.k8s.io", resource: "leases", namespace: operatorNamespace},
		{user: controllerAccount, verbs: []string{"create", "patch"}, group: "events.k8s.io", resource: "events", namespace: "tenant", want: true},
		{user: controllerAccount, verbs: []string{"create", "patch"}, resource: "events", namespace: operatorNamespace, want: true},
		{user: controllerAccount, verbs: []string{"create", "patch"}, resource: "events", namespace: "tenant"},
		{user: controllerAccount, verbs: []string{"update"}, group: ours, resource: "oauthclients", sub: "finalizers", namespace: "tenant"},
		{user: controllerAccount, verbs: []string{"list", "watch"}, resource: "serviceaccounts", want: true},
		{user: controllerAccount, verbs: append(write, "get"), resource: "serviceaccounts", namespace: "tenant"},
		{user: controllerAccount, verbs: []string{"create"}, resource: "serviceaccounts", sub: "token", namespace: "tenant"},
		{user: controllerAccount, verbs: []string{"impersonate"}, resource: "users"},
		{user: controllerAccount, verbs: []string{"create", "update", "patch"}, group: "rbac.authorization.k8s.io", resource: "clusterroles"},
	}
	for _, resource := range []string{"oauthgrants", "oauthdeviceauthorizations", "oauthsignouts"} {
		rights = append(rights,
			right{user: controllerAccount, verbs: []string{"list", "delete"}, group: ours, resource: resource, namespace: operatorNamespace, want: true},
			right{user: controllerAccount, verbs: []string{"get", "watch", "create", "update", "patch"}, group: ours, resource: resource, namespace: operatorNamespace},
			right{user: controllerAccount, verbs: []string{"update", "patch"}, group: ours, resource: resource, sub: "status", namespace: operatorNamespace},
		)
	}
	for _, resource := range []string{"authorizationservers", "localusers", "oauthclients", "resourceservers"} {
		rights = append(rights,
			right{user: controllerAccount, verbs: read, group: ours, resource: resource, want: true},
			right{user: controllerAccount, verbs: write, group: ours, resource: resource},
			right{user: controllerAccount, verbs: []string{"patch"}, group: ours, resource: resource, sub: "status", want: true},
			right{user: controllerAccount, verbs: []string{"get", "update"}, group: ours, resource: resource, sub: "status"},
		)
	}
	return rights
}

// tenantRights: what the cluster's own roles hold in the namespace they are bound in.
func tenantRights() []right {
	var rights []right
	for _, tenant := range []struct {
		user          string
		write, review bool
	}{{user: "viewer"}, {user: "editor", write: true}, {user: "admin", write: true, review: true}} {
		rights = append(rights,
			right{user: tenant.user, verbs: []string{"review"}, group: ours, resource: "resourceservers", namespace: "tenant", want: tenant.review},
			right{user: tenant.user, verbs: []string{"review"}, group: ours, resource: "resourceservers", namespace: "other"},
		)
		for _, resource := range []string{"oauthgrants", "oauthdeviceauthorizations", "oauthsignouts"} {
			rights = append(rights,
				right{user: tenant.user, verbs: append(read, write...), group: ours, resource: resource, namespace: "tenant"},
				right{user: tenant.user, verbs: append(read, write...), group: ours, resource: resource, namespace: operatorNamespace},
			)
		}
		for _, resource := range []string{"oauthclients", "resourceservers"} {
			rights = append(rights,
				right{user: tenant.user, verbs: read, group: ours, resource: resource, namespace: "tenant", want: true},
				right{user: tenant.user, verbs: write, group: ours, resource: resource, namespace: "tenant", want: tenant.write},
				right{user: tenant.user, verbs: []string{"update", "patch"}, group: ours, resource: resource, sub: "status", namespace: "tenant"},
				right{user: tenant.user, verbs: append(read, write...), group: ours, resource: resource, namespace: "other"},
			)
		}
		for _, resource := range []string{"authorizationservers", "localusers"} {
			rights = append(rights, right{user: tenant.user, verbs: append(read, write...), group: ours, resource: resource})
		}
	}
	return rights
}

const tenantRoles = `
apiVersion: v1
kind: Namespace
metadata: {name: tenant}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer, namespace: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editor, namespace: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: editor}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: admin, namespace: tenant}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: admin}]
`

func TestRights(t *testing.T) {
	client, err := kubernetes.NewForConfig(cluster.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, tenantRoles)
	aggregated := right{user: "admin", verbs: []string{"review"}, group: ours, resource: "resourceservers", namespace: "tenant"}
	eventually(t, "aggregation into the admin role", func(ctx context.Context) bool {
		got, err := allowed(ctx, client, aggregated, "review")
		return err == nil && got
	})
	for _, table := range [][]right{serverRights(), controllerRights(), tenantRights()} {
		for _, r := range table {
			for _, verb := range r.verbs {
				got, err := allowed(t.Context(), client, r, verb)
				if err != nil || got != r.want {
					t.Errorf("%v: %s: %t, %v", r, verb, got, err)
				}
			}
		}
	}
}

func allowed(ctx context.Context, client kubernetes.Interface, r right, verb string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   r.user,
		Groups: []string{"system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: r.namespace, Verb: verb, Group: r.group, Resource: r.resource, Subresource: r.sub,
		},
	}}
	answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// A tenant's admin may let a ServiceAccount review tokens for the tenant's own API, which takes holding the verb.
func TestTenantAdminGrantsReview(t *testing.T) {
	apply(t, tenantRoles)
	role := `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reviewer, namespace: tenant}
rules:
- {apiGroups: [oauth.latchkey.io], resources: [resourceservers], resourceNames: [orders], verbs: [review]}
`
	eventually(t, "a Role by an admin", func(ctx context.Context) bool { return applyAs(ctx, "admin", role) == nil })
	if err := applyAs(t.Context(), "editor", role); err == nil {
		t.Error("an editor granted the verb review")
	}
}
