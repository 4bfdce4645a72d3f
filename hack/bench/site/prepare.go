package site

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
	// SourceNamespace and SourceClient are the namespace and name of the client that is copied.
	SourceNamespace = "source"
	SourceClient    = "storefront"
	// APIName is the name of the API in each namespace, ScopeName a scope of it that all clients of the namespace may ask for.
	APIName   = "orders"
	ScopeName = "orders.read"
	// UserName and UserPassword are of the one user.
	UserName     = "alice"
	UserPassword = "wonderland"
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
kind: LocalUser
metadata: {name: alice}
spec:
  displayName: Alice Liddell
  email: alice@example.com
  passwordSecretRef: {name: alice-password}
---
apiVersion: v1
kind: Secret
metadata: {name: alice-password, namespace: latchkey-system}
stringData: # of wonderland
  password-hash: $argon2id$v=19$m=19456,t=2,p=1$G6XxIa1P0gWKsPvS1kGlaA$SnGx29lJShcr/ei3HBZoQrBvWGx4o916hf/BUNtI10Q
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
	// alice is the user that there is.
	alice v1alpha1.GrantUser
	// keys are the issuer's, which digest client secrets.
	keys *keys.Set
}

// Prepare has the controller make what every server needs, and the objects that are copied. When it is done with that, atRest is called with
// the controller, unless it is nil; then the controller ends.
func (s *Site) Prepare(ctx context.Context, atRest func(context.Context, *Program) error) error {
	c, err := s.reconcileSources(ctx, atRest)
	if err != nil {
		return err
	}
	var alice v1alpha1.LocalUser
	if err := s.Admin.Get(ctx, client.ObjectKey{Name: UserName}, &alice); err != nil {
		return err
	}
	s.source.alice = v1alpha1.GrantUser{Name: UserName, UID: string(alice.UID)}
	grant := newGrant(c, s.source.alice)
	if err := s.AsServer.Create(ctx, grant, client.FieldOwner("latchkey-server")); err != nil {
		return err
	}
	return s.readSources(ctx, grant.Name)
}

// reconcileSources creates the objects that are copied and returns the client as the controller leaves it.
func (s *Site) reconcileSources(ctx context.Context, atRest func(context.Context, *Program) error) (_ *v1alpha1.OAuthClient, err error) {
	controller, err := s.StartController(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, controller.Close()) }()
	text := strings.ReplaceAll(manifests, "ISSUER", s.Issuer())
	if _, _, err := s.KubectlInput(ctx, strings.NewReader(text), "apply", "--server-side", "-f", "-"); err != nil {
		return nil, err
	}
	var c v1alpha1.OAuthClient
	err = Poll(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) (bool, error) {
		err := s.Admin.Get(ctx, client.ObjectKey{Namespace: SourceNamespace, Name: SourceClient}, &c)
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
	})
	if err != nil {
		return nil, fmt.Errorf("the client is not ready: %w: %+v", err, c.Status.Conditions)
	}
	if atRest == nil {
		return &c, nil
	}
	return &c, atRest(ctx, controller)
}

func newGrant(c *v1alpha1.OAuthClient, user v1alpha1.GrantUser) *v1alpha1.OAuthGrant {
	now := time.Now()
	until := metav1.NewTime(now.Add(30 * 24 * time.Hour))
	return &v1alpha1.OAuthGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: randomID(32)},
		Spec: v1alpha1.OAuthGrantSpec{
			AuthorizationServerName: "default", ClientID: c.Status.ClientID, ClientUID: string(c.UID),
			User: user, SessionID: randomID(26),
			AuthTime: metav1.NewTime(now), IssuedAt: metav1.NewMicroTime(now),
			Scopes:    []string{"openid", "profile", "offline_access"},
			Resources: []v1alpha1.GrantResource{{Identifier: "https://orders.source.svc", Scopes: []string{ScopeName}}},
			ExpiresAt: until, RefreshUntil: &until, Attempt: randomID(26),
		},
	}
}

func (s *Site) readSources(ctx context.Context, grant string) (err error) {
	if s.source.client, err = s.Etcd.Value(ctx, KeyOf("oauthclients", SourceNamespace, SourceClient)); err != nil {
		return err
	}
	if s.source.api, err = s.Etcd.Value(ctx, KeyOf("resourceservers", SourceNamespace, APIName)); err != nil {
		return err
	}
	if s.source.grant, err = s.Etcd.Value(ctx, KeyOf("oauthgrants", OperatorNamespace, grant)); err != nil {
		return err
	}
	var secret corev1.Secret
	if err := s.Admin.Get(ctx, client.ObjectKey{Namespace: OperatorNamespace, Name: "latchkey-keys-default"}, &secret); err != nil {
		return err
	}
	material, err := keys.Unmarshal(secret.Data["keys.json"])
	if err != nil {
		return err
	}
	s.source.keys, err = keys.NewSet(material)
	return err
}

// KeyOf is where the API server keeps an object of ours in etcd.
func KeyOf(resource, namespace, name string) string {
	return "/registry/" + v1alpha1.GroupVersion.Group + "/" + resource + "/" + namespace + "/" + name
}

// CopyOf is an object as etcd has it, with other contents.
func CopyOf[T any](source []byte, change func(*T)) ([]byte, error) {
	o := new(T)
	if err := json.Unmarshal(source, o); err != nil {
		return nil, err
	}
	change(o)
	return json.Marshal(o)
}
