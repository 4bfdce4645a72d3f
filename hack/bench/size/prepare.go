package size

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

// The objects that are copied. The API is copied to each namespace, for its clients.
const (
	sourceNamespace = "source"
	sourceClient    = "storefront"
	apiName         = "orders"
	scopeName       = "orders.read"
)

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: source}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: default}
spec: {issuer: "ISSUER"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: ResourceServer
metadata: {name: orders, namespace: source}
spec:
  identifier: https://orders.source.svc
  displayName: Orders
  scopes:
  - {name: orders.read, description: See your orders}
  - {name: orders.write, description: Place and cancel orders}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: storefront, namespace: source}
spec:
  displayName: Storefront
  type: Confidential
  redirectURIs: ["https://storefront.source.example.com/callback"]
  grantTypes: [authorization_code, refresh_token, client_credentials]
  scopes: [openid, profile, email, offline_access]
  resources: [{namespace: source, name: orders, scopes: [orders.read, orders.write]}]
  authentication: {clientSecret: {source: Generated, secretName: storefront-oauth}}
`

// sources are what etcd has of the objects that are copied.
type sources struct {
	client, api, grant []byte
	// keys digest client secrets.
	keys *keys.Set
}

// prepare has the controller make what every server needs, and the objects that are copied.
func (b *bench) prepare(ctx context.Context) error {
	controller, err := b.startController(ctx)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(manifests, "ISSUER", b.issuer())
	if _, _, err := b.cp.KubectlInput(ctx, strings.NewReader(text), "apply", "--server-side", "-f", "-"); err != nil {
		return errors.Join(err, controller.stop())
	}
	var c v1alpha1.OAuthClient
	err = poll(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) (bool, error) {
		err := b.admin.Get(ctx, client.ObjectKey{Namespace: sourceNamespace, Name: sourceClient}, &c)
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("the client is not ready: %w: %+v", err, c.Status.Conditions), controller.stop())
	}
	resting, err := rested(ctx, controller)
	b.resting = resting.resident
	if err := errors.Join(err, controller.stop()); err != nil {
		return err
	}
	grant := newGrant(&c)
	if err := b.asServer.Create(ctx, grant, client.FieldOwner("latchkey-server")); err != nil {
		return err
	}
	return b.readSources(ctx, grant.Name)
}

func newGrant(c *v1alpha1.OAuthClient) *v1alpha1.OAuthGrant {
	now := time.Now()
	until := metav1.NewTime(now.Add(30 * 24 * time.Hour))
	return &v1alpha1.OAuthGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: randomID(32)},
		Spec: v1alpha1.OAuthGrantSpec{
			AuthorizationServerName: "default", ClientID: c.Status.ClientID, ClientUID: string(c.UID),
			User: v1alpha1.GrantUser{Name: "alice", UID: newUID()}, SessionID: randomID(26),
			AuthTime: metav1.NewTime(now), IssuedAt: metav1.NewMicroTime(now),
			Scopes:    []string{"openid", "profile", "offline_access"},
			Resources: []v1alpha1.GrantResource{{Identifier: "https://orders.source.svc", Scopes: []string{scopeName}}},
			ExpiresAt: until, RefreshUntil: &until, Attempt: randomID(26),
		},
	}
}

func (s *site) readSources(ctx context.Context, grant string) (err error) {
	if s.source.client, err = s.etcd.value(ctx, keyOf("oauthclients", sourceNamespace, sourceClient)); err != nil {
		return err
	}
	if s.source.api, err = s.etcd.value(ctx, keyOf("resourceservers", sourceNamespace, apiName)); err != nil {
		return err
	}
	if s.source.grant, err = s.etcd.value(ctx, keyOf("oauthgrants", operatorNamespace, grant)); err != nil {
		return err
	}
	var secret corev1.Secret
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "latchkey-keys-default"}, &secret); err != nil {
		return err
	}
	material, err := keys.Unmarshal(secret.Data["keys.json"])
	if err != nil {
		return err
	}
	s.source.keys, err = keys.NewSet(material)
	return err
}

// keyOf is where the API server keeps an object of ours in etcd.
func keyOf(resource, namespace, name string) string {
	return "/registry/" + v1alpha1.GroupVersion.Group + "/" + resource + "/" + namespace + "/" + name
}

// copyOf is an object as etcd has it, with other contents.
func copyOf[T any](source []byte, change func(*T)) ([]byte, error) {
	o := new(T)
	if err := json.Unmarshal(source, o); err != nil {
		return nil, err
	}
	change(o)
	return json.Marshal(o)
}
