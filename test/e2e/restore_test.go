package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// site is all that a backup has to bring back: an issuer, its keys, a user, and a namespace with an API and a client.
type site struct {
	bundle
	user *person
	shop *app
}

// newSite declares it, and has the client's secret rotated once, so that two are valid.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{bundle: newBundle(t)}
	apply(t, s.all("IRC")+strings.NewReplacer("NAMESPACE", s.namespace, "SERVER", s.server, "CALLBACK", callback).Replace(`
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: shop, namespace: NAMESPACE}
spec:
  authorizationServerName: SERVER
  type: Confidential
  redirectURIs: [CALLBACK]
  grantTypes: [authorization_code, refresh_token]
  scopes: [openid, offline_access]
  resources: [{namespace: NAMESPACE, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Generated, secretName: shop-oauth, rotation: {overlap: 1h}}}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: legacy, namespace: NAMESPACE}
spec:
  authorizationServerName: SERVER
  type: Confidential
  redirectURIs: [CALLBACK]
  grantTypes: [authorization_code]
  resources: [{namespace: NAMESPACE, name: orders, scopes: [orders.read]}]
  authentication: {clientSecret: {source: Existing, secretName: legacy}}
---
apiVersion: v1
kind: Secret
metadata: {name: legacy, namespace: NAMESPACE}
stringData: {client-secret: brought-by-the-team}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: LocalUser
metadata: {name: SERVER}
spec: {authorizationServerNames: [SERVER], passwordSecretRef: {name: SERVER}}
`))
	setPassword(t, s.server, "alice")
	atEnd(t, "delete", "secret", "-n", operatorNamespace, "--ignore-not-found", s.server)
	atEnd(t, "delete", "localuser", "--ignore-not-found", s.server)
	s.user, s.shop = newPerson(t, s.server, "wonderland"), &app{t: t, issuer: s.issuer, redirectURI: callback, resource: s.identifier()}
	s.isWhole()
	s.rotate("shop", "before-the-backup")
	return s
}

// isWhole waits until every object is ready.
func (s *site) isWhole() {
	s.t.Helper()
	s.works()
	ready(s.t, resource("localusers", ""), s.server)
	ready(s.t, s.clients(), "shop")
	ready(s.t, s.clients(), "legacy")
}

// credentials are the client as its Secret has it.
func (s *site) credentials() *app {
	s.t.Helper()
	a := *s.shop
	return s.withCredentials(&a, "shop-oauth")
}

// save is a backup, in the three parts in which Velero restores one unless it is told otherwise.
func (s *site) save() (namespace, secrets, objects string) {
	s.t.Helper()
	get := func(args ...string) string {
		return kubectl(s.t, "", append([]string{"get", "-o", "yaml"}, args...)...)
	}
	namespace = stripped(s.t, get("namespace", s.namespace))
	secrets = stripped(s.t, get("secret", "-n", operatorNamespace, "latchkey-keys-"+s.server, s.server), get("secrets", "-n", s.namespace))
	objects = stripped(s.t, get("authorizationserver", s.server), get("localuser", s.server), get("oauthclients", "-n", s.namespace), get("resourceservers", "-n", s.namespace))
	return namespace, secrets, objects
}

// stripped are the manifests without what Velero takes out of them: status, owners, and what says which object it was.
func stripped(t *testing.T, manifests ...string) string {
	t.Helper()
	var out []any
	for _, manifest := range manifests {
		list := decoded(t, manifest)
		items := list.Items
		if len(items) == 0 {
			items = []unstructured.Unstructured{{Object: list.Object}}
		}
		for _, o := range items {
			for _, field := range []string{"generateName", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "ownerReferences"} {
				unstructured.RemoveNestedField(o.Object, "metadata", field)
			}
			unstructured.RemoveNestedField(o.Object, "status")
			out = append(out, o.Object)
		}
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": out})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// destroy deletes all of it, and waits until it is gone.
func (s *site) destroy() {
	s.t.Helper()
	kubectl(s.t, "", "delete", "namespace", s.namespace, "--wait")
	kubectl(s.t, "", "delete", "authorizationserver", s.server, "--wait")
	kubectl(s.t, "", "delete", "localuser", s.server, "--wait")
	kubectl(s.t, "", "delete", "secret", "-n", operatorNamespace, "latchkey-keys-"+s.server, s.server, "--wait")
}

// kept is what must be the same after a restore.
type kept struct {
	secret  map[string][]byte
	secrets []any
	keys    any
	handled any
}

func (s *site) kept(ctx context.Context) (k kept, err error) {
	secret, err := core.CoreV1().Secrets(s.namespace).Get(ctx, "shop-oauth", metav1.GetOptions{})
	if err != nil {
		return k, err
	}
	client, err := s.clients().Get(ctx, "shop", metav1.GetOptions{})
	if err != nil {
		return k, err
	}
	issuer, err := resource("authorizationservers", "").Get(ctx, s.server, metav1.GetOptions{})
	if err != nil {
		return k, err
	}
	k.secret = secret.Data
	k.keys, _, _ = unstructured.NestedFieldCopy(issuer.Object, "status", "keys")
	k.handled, _, _ = unstructured.NestedFieldCopy(client.Object, "status", "lastHandledRotation")
	k.secrets, _, _ = unstructured.NestedSlice(client.Object, "status", "secrets")
	for _, one := range k.secrets {
		delete(one.(map[string]any), "digest") // which is bound to the object
	}
	return k, nil
}

// signIn gets tokens for the user, and returns them with the `sub`.
func (s *site) signIn() (tokens, string) {
	s.t.Helper()
	var answer tokens
	eventually(s.t, "the user can sign in", enforced, func(ctx context.Context) (bool, error) {
		page, err := s.shop.meets(ctx, "openid orders.read")
		return page == signInPage && s.shop.proves(ctx) == nil, err
	})
	s.user = newPerson(s.t, s.user.name, s.user.password)
	answer, _ = s.shop.tokens(s.user, "openid offline_access orders.read")
	var claims struct {
		Subject string `json:"sub"`
	}
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.issuer+"/userinfo", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+answer.AccessToken)
	_, text, err := send(request)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(text, &claims); err != nil || claims.Subject == "" {
		s.t.Fatalf("userinfo: %s, %v", text, err)
	}
	return answer, claims.Subject
}

// A backup that holds no status, no owners and no UIDs brings the same credentials back: secrets that are valid, their ids, the keys and
// every `sub`. What belonged to the objects of before is dead, for those that are there now are others.
func TestRestoredWithoutStatusTheCredentialsAreTheSame(t *testing.T) {
	for name, restore := range map[string]func(s *site, namespace, secrets, objects string){
		"Secrets first, as Velero has it": func(_ *site, namespace, secrets, objects string) {
			kubectl(t, namespace, "create", "-f", "-")
			kubectl(t, secrets, "create", "-f", "-")
			kubectl(t, objects, "create", "-f", "-")
		},
		"Secrets last, over those that were made since": func(s *site, namespace, secrets, objects string) {
			kubectl(t, namespace, "create", "-f", "-")
			kubectl(t, objects, "create", "-f", "-")
			s.secretsAreMade()
			kubectl(t, secrets, "apply", "--server-side", "--force-conflicts", "-f", "-")
		},
	} {
		t.Run(name, func(t *testing.T) { newSite(t).comesBackTheSame(restore) })
	}
}

// secretsAreMade waits until the controller has made those that it found missing.
func (s *site) secretsAreMade() {
	s.t.Helper()
	eventually(s.t, "Secrets are made", patience, func(ctx context.Context) (bool, error) {
		for name, namespace := range map[string]string{"latchkey-keys-" + s.server: operatorNamespace, "shop-oauth": s.namespace, "app-oauth": s.namespace} {
			if _, err := core.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
				return false, ignoreNotFound(err)
			}
		}
		return true, nil
	})
}

func (s *site) comesBackTheSame(restore func(s *site, namespace, secrets, objects string)) {
	t := s.t
	t.Helper()
	s.shop = s.credentials()
	answer, subject := s.signIn()
	before, err := s.kept(t.Context())
	if err != nil || len(before.secrets) != 2 || before.keys == nil || before.handled != "before-the-backup" {
		t.Fatalf("before: %+v, %v", before, err)
	}
	namespace, secrets, objects := s.save()
	s.destroy()
	restore(s, namespace, secrets, objects)
	s.isWhole()
	var after kept
	eventually(t, "status says what it said", patience, func(ctx context.Context) (bool, error) {
		after, err = s.kept(ctx)
		return reflect.DeepEqual(before, after), err
	})
	legacy := *s.shop
	legacy.id, legacy.secret = s.namespace+".legacy", "brought-by-the-team"
	for _, a := range []*app{s.shop, s.credentials(), s.previous(before), &legacy} {
		eventually(t, "a client secret of before is good", enforced, func(ctx context.Context) (bool, error) { return a.proves(ctx) == nil, nil })
	}
	if status := userinfo(t, s.shop, answer.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("a token of the client before is answered with HTTP %d", status)
	}
	if refreshed, err := s.shop.refreshed(t.Context(), answer.RefreshToken); err != nil || refreshed.Error != "invalid_grant" {
		t.Errorf("a refresh token of the client before is answered with %s, %v", refreshed.Error, err)
	}
	if _, now := s.signIn(); now != subject {
		t.Errorf("the user was %s, and is %s", subject, now)
	}
	s.owned(s.secret("shop-oauth"))
	s.revokes(before)
	if out := kubectl(t, s.all("CRI"), "diff", "--server-side", "--force-conflicts", "-f", "-"); out != "" {
		t.Errorf("kubectl diff: %s", out)
	}
}

// revokes revokes the previous secret by the id that it had before the backup, as Git may have it.
func (s *site) revokes(before kept) {
	s.t.Helper()
	id := before.secrets[1].(map[string]any)["id"].(string)
	kubectl(s.t, "", "patch", "oauthclient", "shop", "-n", s.namespace, "--type=merge", "--patch", `{"spec":{"authentication":{"clientSecret":{"revoked":["`+id+`"]}}}}`)
	previous := s.previous(before)
	eventually(s.t, "the secret that was revoked is refused", enforced, func(ctx context.Context) (bool, error) {
		err := previous.proves(ctx)
		return err != nil && err.Error() == "invalid_client", nil
	})
	if err := s.shop.proves(s.t.Context()); err != nil {
		s.t.Errorf("the other secret: %v", err)
	}
}

// previous is the client with the secret that the rotation replaced.
func (s *site) previous(k kept) *app {
	s.t.Helper()
	var record struct {
		Previous []struct{ Value string }
	}
	if err := json.Unmarshal(k.secret[".latchkey"], &record); err != nil || len(record.Previous) != 1 {
		s.t.Fatalf("%d previous secrets, %v", len(record.Previous), err)
	}
	a := *s.shop
	a.secret = record.Previous[0].Value
	return &a
}

// owned fails the test unless the client that is there now owns the Secret, so that it goes with the client.
func (s *site) owned(secret *corev1.Secret) {
	s.t.Helper()
	client, err := s.clients().Get(s.t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	if owner := metav1.GetControllerOf(secret); owner == nil || owner.UID != client.GetUID() {
		s.t.Errorf("Secret %s has the owner %s, and the client is %s", secret.Name, fmt.Sprint(owner), client.GetUID())
	}
}

// decoded is an object, or a list.
func decoded(t *testing.T, manifest string) *unstructured.UnstructuredList {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	var list unstructured.UnstructuredList
	if err := list.UnmarshalJSON(text); err != nil {
		if err := json.Unmarshal(text, &list.Object); err != nil {
			t.Fatal(err)
		}
	}
	return &list
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
