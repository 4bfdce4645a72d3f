package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

// bundle is what a repository holds for one application: its client, its API and, here, an issuer of their own.
type bundle struct {
	tenant
	server, issuer string
}

// parts are the objects of a bundle, by what orders of them are written with.
const parts = "CRI"

func newBundle(t *testing.T) bundle {
	t.Helper()
	n := newTenant(t)
	b := bundle{tenant: n, server: n.namespace, issuer: live.Issuer + "/" + n.namespace}
	atEnd(t, "delete", "secret", "-n", operatorNamespace, "--ignore-not-found", "latchkey-keys-"+b.server)
	atEnd(t, "delete", "authorizationserver", "--ignore-not-found", b.server)
	return b
}

// manifest is one part: C is the client, R the resource server, I the issuer.
func (b bundle) manifest(part rune) string {
	text := map[rune]string{
		'C': `
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: app, namespace: NAMESPACE}
spec:
  authorizationServerName: SERVER
  displayName: App
  type: Confidential
  grantTypes: [client_credentials]
  resources: [{namespace: NAMESPACE, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Generated, secretName: app-oauth}}
`,
		'R': `
apiVersion: oauth.latchkey.io/v1alpha1
kind: ResourceServer
metadata: {name: orders, namespace: NAMESPACE}
spec:
  authorizationServerNames: [SERVER]
  identifier: https://orders.NAMESPACE.svc
  displayName: Orders
  scopes: [{name: orders.read, description: See your orders}]
`,
		'I': `
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: SERVER}
spec: {issuer: "ISSUER"}
`}[part]
	return strings.NewReplacer("NAMESPACE", b.namespace, "SERVER", b.server, "ISSUER", b.issuer).Replace(text)
}

// all is the whole bundle in that order.
func (b bundle) all(order string) string {
	var documents []string
	for _, part := range order {
		documents = append(documents, b.manifest(part))
	}
	return strings.Join(documents, "---")
}

// object is where a part is.
func (b bundle) object(part rune) (dynamic.ResourceInterface, string) {
	switch part {
	case 'C':
		return b.clients(), "app"
	case 'R':
		return resource("resourceservers", b.namespace), "orders"
	}
	return resource("authorizationservers", ""), b.server
}

// seen waits until the controller has said something of a part, whatever it is.
func (b bundle) seen(part rune) metav1.Condition {
	b.t.Helper()
	var last metav1.Condition
	objects, name := b.object(part)
	eventually(b.t, name+" has been looked at", patience, func(ctx context.Context) (bool, error) {
		now, err := condition(ctx, objects, name, "Ready")
		last = now
		return now.Status != "", err
	})
	return last
}

// works waits until all parts are ready and the client's Secret is good for a token.
func (b bundle) works() *app {
	b.t.Helper()
	for _, part := range parts {
		objects, name := b.object(part)
		ready(b.t, objects, name)
	}
	a := b.withCredentials(&app{t: b.t, issuer: b.issuer, resource: b.identifier()}, "app-oauth")
	var last tokens
	eventually(b.t, "the client is given a token", enforced, func(ctx context.Context) (_ bool, err error) {
		last, err = a.itself(ctx)
		return last.status == http.StatusOK && last.AccessToken != "", err
	})
	if last.Scope != "orders.read" {
		b.t.Errorf("the token is for %q", last.Scope)
	}
	return a
}

// itself asks for a token for the client itself.
func (a *app) itself(ctx context.Context) (tokens, error) {
	return a.token(ctx, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "resource": {a.resource}})
}

// Whatever is applied first waits for the rest, says so, and is honoured in the end without being touched again.
func TestAnyOrderOfApplyConverges(t *testing.T) {
	for _, order := range []string{"CRI", "CIR", "RCI", "RIC", "ICR", "IRC"} {
		t.Run(order, func(t *testing.T) {
			b := newBundle(t)
			for i, part := range order {
				apply(t, b.manifest(part))
				said := b.seen(part)
				waits := part != 'I' && i < strings.Index(order, "I") || part == 'C' && i < strings.Index(order, "R")
				if waits && (said.Status != metav1.ConditionFalse || said.Message == "") {
					t.Errorf("%c waits for others, and its Ready is %+v", part, said)
				}
			}
			b.works()
		})
	}
}

// All deleted and applied again, at once and in the worst order, is an installation like the first, with a secret of its own.
func TestDeletedAndAppliedAgainWorks(t *testing.T) {
	b := newBundle(t)
	apply(t, b.all("IRC"))
	former := b.works()
	secret := b.secret("app-oauth")
	kubectl(t, b.all("IRC"), "delete", "--wait", "-f", "-")
	apply(t, b.all("CRI"))
	eventually(t, "the former Secret is collected and another made", patience, func(ctx context.Context) (bool, error) {
		now, err := core.CoreV1().Secrets(b.namespace).Get(ctx, secret.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil && now.UID != secret.UID, err
	})
	a := b.works()
	if a.secret == former.secret {
		t.Error("another client has the former one's secret")
	}
	if answer, err := former.itself(t.Context()); err != nil || answer.Error != "invalid_client" {
		t.Errorf("the former client's secret is answered with HTTP %d %s, %v", answer.status, answer.Error, err)
	}
}

// rendered are the samples as they were applied here.
func rendered(t *testing.T) string {
	t.Helper()
	text := kubectl(t, "", "kustomize", live.Root+"/config/samples")
	for port, now := range map[string]string{
		"https://localhost:20000": live.Issuer, "http://localhost:20001": live.LocalIssuer,
		"http://localhost:20005": live.PrintShop, "http://localhost:20006": live.Photos,
	} {
		text = strings.ReplaceAll(text, port, now)
	}
	return text
}

// versions are the resource versions of the samples, and of the Secrets beside them.
func versions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for plural, namespace := range map[string]string{"authorizationservers": "", "localusers": "", "resourceservers": sampleNamespace, "oauthclients": sampleNamespace} {
		list, err := resource(plural, namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			found[plural+" "+o.GetNamespace()+"/"+o.GetName()] = o.GetResourceVersion()
		}
	}
	for _, namespace := range []string{sampleNamespace, operatorNamespace} {
		list, err := core.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			found["secrets "+namespace+"/"+o.Name] = o.ResourceVersion
		}
	}
	return found
}

// The controllers add nothing to what was applied: a diff is empty, a dry run changes nothing, and applying again neither. kubectl
// diff ends with 1 where there is a difference.
func TestDiffAndDryRunAreQuiet(t *testing.T) {
	samples := rendered(t)
	kubectl(t, samples, "apply", "--server-side", "-f", "-") // should another test have restored them from a backup
	printShopIsTold(t)                                       // or its status could be written meanwhile
	before := versions(t)
	for _, args := range [][]string{{"diff", "--server-side", "-f", "-"}, {"diff", "--server-side", "--field-manager=flux", "--force-conflicts", "-f", "-"}} {
		if out := kubectl(t, samples, args...); out != "" {
			t.Errorf("kubectl %v: %s", args, out)
		}
	}
	kubectl(t, samples, "apply", "--server-side", "--dry-run=server", "-f", "-")
	kubectl(t, samples, "apply", "--server-side", "-f", "-")
	after := versions(t)
	for name, version := range before {
		if after[name] != version {
			t.Errorf("%s was written: version %s, then %s", name, version, after[name])
		}
	}
}

// With client-side apply, as many people still have it, kubectl itself says what it would do.
func TestClientSideApplyIsQuiet(t *testing.T) {
	b := newBundle(t)
	manifests := b.all("CRI")
	kubectl(t, manifests, "apply", "-f", "-")
	b.works()
	if out := kubectl(t, manifests, "diff", "-f", "-"); out != "" {
		t.Errorf("kubectl diff: %s", out)
	}
	for _, args := range [][]string{{"apply", "--dry-run=server", "-f", "-"}, {"apply", "-f", "-"}} {
		out := strings.TrimSpace(kubectl(t, manifests, args...))
		if lines := strings.Split(out, "\n"); len(lines) != len(parts) || slices.ContainsFunc(lines, func(l string) bool { return !strings.Contains(l, " unchanged") }) {
			t.Errorf("kubectl %v: %s", args, out)
		}
	}
}

// What another field manager adds to an object stays, and Latchkey itself manages nothing of it but status.
func TestFieldsOfAnotherManagerStay(t *testing.T) {
	b := newBundle(t)
	apply(t, b.all("IRC"))
	b.works()
	other := fmt.Sprintf(`{apiVersion: oauth.latchkey.io/v1alpha1, kind: OAuthClient, metadata: {name: app, namespace: %s, labels: {team: web}}, spec: {displayName: App, scopes: [openid]}}`, b.namespace)
	kubectl(t, other, "apply", "--server-side", "--field-manager=another", "-f", "-")
	kubectl(t, "", "annotate", "oauthclient", "app", "-n", b.namespace, "example.com/owner=web")
	b.works()
	o, err := b.clients().Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if o.GetLabels()["team"] != "web" || o.GetAnnotations()["example.com/owner"] != "web" {
		t.Errorf("labels %v, annotations %v", o.GetLabels(), o.GetAnnotations())
	}
	for _, m := range o.GetManagedFields() {
		if strings.HasPrefix(m.Manager, "latchkey") && m.Subresource != "status" {
			t.Errorf("%s manages fields outside of status: %s", m.Manager, m.FieldsV1)
		}
	}
	if out := kubectl(t, b.all("IRC"), "diff", "--server-side", "-f", "-"); out != "" {
		t.Errorf("kubectl diff: %s", out)
	}
}

// The same holds for the client's Secret: what somebody else keeps there stays, through whatever Latchkey writes, and nobody writes because of
// the other.
func TestEntriesOfOthersInTheSecretStay(t *testing.T) {
	b := newBundle(t)
	apply(t, b.all("IRC"))
	a := b.works()
	other := fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: app-oauth, namespace: %s, labels: {team: web}, annotations: {example.com/copy-to: web}}, stringData: {extra: theirs}}`, b.namespace)
	kubectl(t, other, "apply", "--server-side", "--field-manager=another", "-f", "-")
	written := b.secret("app-oauth")
	kubectl(t, "", "patch", "oauthclient", "app", "-n", b.namespace, "--type=merge", "--patch",
		`{"spec":{"authentication":{"clientSecret":{"labels":{"tier":"front"}}}}}`)
	eventually(t, "the Secret has the label that the client declares", patience, func(ctx context.Context) (bool, error) {
		secret, err := core.CoreV1().Secrets(b.namespace).Get(ctx, "app-oauth", metav1.GetOptions{})
		if err == nil && secret.Labels["tier"] == "" && secret.ResourceVersion != written.ResourceVersion {
			err = fmt.Errorf("written without need: %v", secret.Labels)
		}
		return err == nil && secret.Labels["tier"] == "front", err
	})
	b.works()
	secret := b.secret("app-oauth")
	if secret.Labels["team"] != "web" || secret.Annotations["example.com/copy-to"] != "web" || string(secret.Data["extra"]) != "theirs" || string(secret.Data["client-secret"]) != a.secret {
		t.Errorf("labels %v, annotations %v, %d entries", secret.Labels, secret.Annotations, len(secret.Data))
	}
	if out := kubectl(t, other, "diff", "--server-side", "--field-manager=another", "-f", "-"); out != "" {
		t.Errorf("kubectl diff: %s", out)
	}
}
