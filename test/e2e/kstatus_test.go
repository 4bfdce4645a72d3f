package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/test/argocd"
)

// verdict is what each of those who wait for an object is to make of one state.
type verdict struct {
	kstatus status.Status
	argo    string
	// waited is whether `kubectl wait --for=condition=Ready` is satisfied.
	waited bool
}

func verdicts() map[string]verdict {
	return map[string]verdict{
		"new":      {status.InProgressStatus, "Progressing", false},
		"changed":  {status.InProgressStatus, "Progressing", false},
		"waiting":  {status.InProgressStatus, "Progressing", false},
		"ready":    {status.CurrentStatus, "Healthy", true},
		"disabled": {status.CurrentStatus, "Healthy", true},
		"failed":   {status.FailedStatus, "Degraded", false},
		"deleted":  {status.TerminatingStatus, "Progressing", false},
	}
}

// declared is an object of one of our kinds in the state that it comes to.
type declared struct {
	state, kind, plural, namespace, name, spec string
}

func (d declared) resource() dynamic.ResourceInterface { return resource(d.plural, d.namespace) }

func (d declared) manifest() string {
	return fmt.Sprintf("apiVersion: oauth.latchkey.io/v1alpha1\nkind: %s\nmetadata: {name: %q, namespace: %q}\nspec: %s", d.kind, d.name, d.namespace, d.spec)
}

// everyState has each kind in each state that it can stay in.
func (b bundle) everyState(another tenant) []declared {
	name := func(state string) string { return b.server + "-" + state }
	client := func(state, namespace, spec string) declared {
		return declared{state, "OAuthClient", "oauthclients", namespace, state, "{authorizationServerName: " + b.server + ", grantTypes: [client_credentials], type: Confidential, " + spec + "}"}
	}
	api := func(state, spec string) declared {
		return declared{state, "ResourceServer", "resourceservers", b.namespace, state, "{" + spec + ", scopes: [{name: orders.read, description: See your orders}]}"}
	}
	user := func(state, spec string) declared {
		return declared{state, "LocalUser", "localusers", "", name(state), "{authorizationServerNames: [" + b.server + "], " + spec + "}"}
	}
	issuer := func(state, spec string) declared {
		return declared{state, "AuthorizationServer", "authorizationservers", "", name(state), spec}
	}
	at := "authorizationServerNames: [" + b.server + "], "
	orders := "resources: [{namespace: " + b.namespace + ", name: orders, scopes: [orders.read]}], "
	return []declared{
		client("ready", b.namespace, orders+"authentication: {clientSecret: {source: Generated, secretName: ready}}"),
		client("disabled", b.namespace, "disabled: true, authentication: {clientSecret: {source: Generated, secretName: disabled}}"),
		client("waiting", b.namespace, "authentication: {clientSecret: {source: Existing, secretName: waiting}}"),
		client("failed", another.namespace, orders+"authentication: {clientSecret: {source: Generated, secretName: failed}}"),
		api("ready", at+"identifier: https://ready."+b.namespace+".svc"),
		api("waiting", "authorizationServerNames: [there-is-none], identifier: https://waiting."+b.namespace+".svc"),
		api("failed", at+"identifier: https://api.example.com"),
		user("ready", "displayName: A User"),
		user("disabled", "disabled: true"),
		user("waiting", "passwordSecretRef: {name: there-is-none}"),
		user("failed", "subject: alice"), // the older user of that subject is a sample
		issuer("ready", "{issuer: "+b.issuer+"-ready}"),
		issuer("failed", "{issuer: "+b.issuer+"/nested}"),
	}
}

// create makes the object and returns it as it is before any controller has seen it.
func (d declared) create(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(d.manifest()), &o.Object); err != nil {
		t.Fatal(err)
	}
	made, err := d.resource().Create(t.Context(), &o, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.namespace == "" {
		if d.kind == "AuthorizationServer" {
			atEnd(t, "delete", "secret", "-n", operatorNamespace, "--ignore-not-found", "latchkey-keys-"+d.name)
		}
		atEnd(t, "delete", d.plural, d.name, "--ignore-not-found")
	}
	return made
}

// arrives waits until the controller has said of the object what its state is.
func (d declared) arrives(t *testing.T) {
	t.Helper()
	switch d.state {
	case "ready":
		ready(t, d.resource(), d.name)
	case "disabled":
		disabled(t, d.resource(), d.name)
	default:
		eventually(t, d.kind+" "+d.name+" is "+d.state, patience, func(ctx context.Context) (bool, error) {
			verdict, err := condition(ctx, d.resource(), d.name, "Ready")
			stalled, also := condition(ctx, d.resource(), d.name, "Stalled")
			if err == nil {
				err = also
			}
			return verdict.Status == metav1.ConditionFalse && (stalled.Status == metav1.ConditionTrue) == (d.state == "failed"), err
		})
	}
}

// judges has kstatus and Argo CD judge an object.
func judges(t *testing.T, checks map[string]argocd.Check, o *unstructured.Unstructured, want verdict) {
	t.Helper()
	computed, err := status.Compute(o)
	if err != nil {
		t.Fatal(err)
	}
	health, _, err := checks[o.GetKind()].Run(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	if computed.Status != want.kstatus || health != want.argo {
		t.Errorf("kstatus has it %s (%s), and Argo CD %s; want %s and %s. Its status: %v",
			computed.Status, computed.Message, health, want.kstatus, want.argo, o.Object["status"])
	}
}

// now is the object as it is, judged by all three.
func (d declared) now(t *testing.T, checks map[string]argocd.Check, want verdict) {
	t.Helper()
	o, err := d.resource().Get(t.Context(), d.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	judges(t, checks, o, want)
	args := []string{"wait", d.plural + "/" + d.name, "--for=condition=Ready", "--timeout=0"}
	if d.namespace != "" {
		args = append(args, "-n", d.namespace)
	}
	out, err := live.Kubectl(t.Context(), "", args...)
	if (err == nil) != want.waited {
		t.Errorf("kubectl wait: %s, %v", out, err)
	}
}

// Whoever waits for an object comes to the same verdict: kubectl wait, kstatus (by which Flux and others wait) and Argo CD; from
// the moment that it exists, in every state that each kind can be in, until it is gone.
func TestWhoeverWaitsComesToTheSameVerdict(t *testing.T) {
	checks, err := argocd.Checks(live.Root)
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t)
	apply(t, b.all("IRC"))
	b.works()
	wanted := verdicts()
	for _, d := range b.everyState(newTenant(t)) {
		t.Run(d.kind+"/"+d.state, func(t *testing.T) {
			judges(t, checks, d.create(t), wanted["new"])
			d.arrives(t)
			d.now(t, checks, wanted[d.state])
			d.changes(t, checks)
			d.arrives(t)
			d.now(t, checks, wanted[d.state])
			d.isDeleted(t, checks)
		})
	}
}

// changes changes the spec, and asks at once, as a GitOps tool does.
func (d declared) changes(t *testing.T, checks map[string]argocd.Check) {
	t.Helper()

	changed, err := d.resource().Patch(t.Context(), d.name, types.MergePatchType, []byte(`{"spec":{"displayName":"Changed"}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	judges(t, checks, changed, verdicts()["changed"])
}

// isDeleted deletes the object while somebody's finalizer holds it.
func (d declared) isDeleted(t *testing.T, checks map[string]argocd.Check) {
	t.Helper()
	finalizers := func(list string) {
		t.Helper()
		if _, err := d.resource().Patch(t.Context(), d.name, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+list+`}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	finalizers(`["example.com/held"]`)
	if err := d.resource().Delete(t.Context(), d.name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	d.now(t, checks, verdicts()["deleted"])
	finalizers("null")
	eventually(t, strings.ToLower(d.kind)+" is gone", patience, func(ctx context.Context) (bool, error) {
		_, err := d.resource().Get(ctx, d.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}
