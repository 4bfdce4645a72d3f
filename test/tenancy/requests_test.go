package tenancy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// present is the object of each kind that there is in each place.
const present = "present"

const ours = "oauth.latchkey.io"

// namespaceOf is where a place is; empty for the cluster.
func namespaceOf(place string) string {
	return map[string]string{Team: "team", Another: "another", Operator: operatorNamespace}[place]
}

// objects is a client for what a cell is about, and its subresource.
func objects(a actor, c Cell) (dynamic.ResourceInterface, string, error) {
	client, err := dynamic.NewForConfig(a.config())
	if err != nil {
		return nil, "", err
	}
	name, sub, _ := strings.Cut(c.Resource, "/")
	kind := schema.GroupVersionResource{Group: ours, Version: "v1alpha1", Resource: name}
	if name == "secrets" {
		kind = schema.GroupVersionResource{Version: "v1", Resource: name}
	}
	if namespace := namespaceOf(c.Place); namespace != "" {
		return client.Resource(kind).Namespace(namespace), sub, nil
	}
	return client.Resource(kind), sub, nil
}

// try does it, as far as that can be done without a trace: writes are dry runs, which pass authorization and admission like
// any other. Only the verb review is no request of Kubernetes' own, and asked about.
func try(ctx context.Context, a actor, c Cell, verb string) error {
	client, sub, err := objects(a, c)
	if err != nil {
		return err
	}
	var subs []string
	if sub != "" {
		subs = []string{sub}
	}
	dry := []string{metav1.DryRunAll}
	switch verb {
	case "get":
		_, err = client.Get(ctx, present, metav1.GetOptions{}, subs...)
	case "list":
		_, err = client.List(ctx, metav1.ListOptions{})
	case "watch":
		err = watch(ctx, client)
	case "create":
		err = create(ctx, client, c, dry)
	case "update":
		err = update(ctx, client, c, dry, subs)
	case "patch":
		_, err = client.Patch(ctx, present, types.MergePatchType, []byte(change(c.Resource)), metav1.PatchOptions{DryRun: dry}, subs...)
	case patchUsage:
		_, err = client.Patch(ctx, present, types.MergePatchType, []byte(usage), metav1.PatchOptions{DryRun: dry}, subs...)
	case "delete":
		err = client.Delete(ctx, present, metav1.DeleteOptions{DryRun: dry})
	case "deletecollection":
		err = client.DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{})
	default:
		return ask(ctx, a, authorizationv1.ResourceAttributes{Namespace: namespaceOf(c.Place), Verb: verb, Group: ours, Resource: c.Resource})
	}
	return err
}

func watch(ctx context.Context, client dynamic.ResourceInterface) error {
	w, err := client.Watch(ctx, metav1.ListOptions{})
	if err == nil {
		w.Stop()
	}
	return err
}

// change is what patch is tried with: something new of an object or, for a subresource, of its status.
func change(resource string) string {
	if !strings.Contains(resource, "/") {
		return `{"metadata":{"annotations":{"changed":"yes"}}}`
	}
	return `{"status":` + newStatus(resource) + `}`
}

// newStatus is a status that a resource can have: what a user did, for those that no controller observes.
func newStatus(resource string) string {
	switch resource {
	case "oauthgrants/status":
		return `{"revokedReason":"SignedOut"}`
	case "oauthdeviceauthorizations/status":
		return `{"sessionID":"one"}`
	case "oauthsignouts/status":
		return `{"signedOutAt":"2126-01-01T00:00:00.000000Z","expiresAt":"2126-01-02T00:00:00Z"}`
	}
	return `{"observedGeneration":1}`
}

// usage says of a client that its secret was used.
const usage = `{"status":{"secretUsage":[{"id":"one","lastUsedTime":"2026-01-01T00:00:00Z"}]}}`

// existing is the object of the cell, as nobody but cluster-admin may see everywhere.
func existing(ctx context.Context, c Cell) (*unstructured.Unstructured, error) {
	client, _, err := objects(actor{}, c)
	if err != nil {
		return nil, err
	}
	return client.Get(ctx, present, metav1.GetOptions{})
}

func create(ctx context.Context, client dynamic.ResourceInterface, c Cell, dry []string) error {
	like, err := existing(ctx, c)
	if err != nil {
		return fmt.Errorf("there is no object to be like: %w", err)
	}
	another := &unstructured.Unstructured{Object: map[string]any{"apiVersion": like.GetAPIVersion(), "kind": like.GetKind()}}
	if spec, found := like.Object["spec"]; found {
		another.Object["spec"] = spec
	}
	another.SetName("new")
	_, err = client.Create(ctx, another, metav1.CreateOptions{DryRun: dry})
	return err
}

func update(ctx context.Context, client dynamic.ResourceInterface, c Cell, dry, subs []string) error {
	object, err := existing(ctx, c)
	if err != nil {
		return fmt.Errorf("there is no object to update: %w", err)
	}
	object.SetAnnotations(map[string]string{"changed": "yes"})
	if len(subs) > 0 {
		var status map[string]any
		if err := json.Unmarshal([]byte(newStatus(c.Resource)), &status); err != nil {
			return err
		}
		object.Object["status"] = status
	}
	_, err = client.Update(ctx, object, metav1.UpdateOptions{DryRun: dry}, subs...)
	return err
}

// ask asks kube-apiserver, as `kubectl auth can-i` does, and turns a no into the error that a request would have.
func ask(ctx context.Context, a actor, what authorizationv1.ResourceAttributes) error {
	client, err := clientset()
	if err != nil {
		return err
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: a.user, Groups: a.groups, ResourceAttributes: &what}}
	answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err == nil && !answer.Status.Allowed {
		return apierrors.NewForbidden(schema.GroupResource{Group: what.Group, Resource: what.Resource}, what.Name, fmt.Errorf("%s may not %s", a.user, what.Verb))
	}
	return err
}
