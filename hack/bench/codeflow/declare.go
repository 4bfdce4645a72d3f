package codeflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/flows"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	namespace = "flows"
	// inValkey is the name of the issuer that keeps its grants in Valkey, and of its client. The other is `default`, whose grants are where
	// the server keeps those of issuers that say nothing.
	inValkey = "valkey"
	password = "wonderland"
	// users is how many there are: enough for nobody to have more grants than a person has.
	users = 5000
	// atOnce is how many are signed in, or declared, at a time.
	atOnce = 16
)

const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: flows}
---
apiVersion: v1
kind: Secret
metadata: {name: valkey, namespace: latchkey-system}
stringData: {addresses: "VALKEY"}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: AuthorizationServer
metadata: {name: valkey}
spec: {issuer: "SECOND", storage: {valkey: {secretRef: {name: valkey}}}}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: ResourceServer
metadata: {name: orders, namespace: flows}
spec:
  authorizationServerNames: [default, valkey]
  identifier: https://orders.flows.svc
  displayName: Orders
  scopes: [{name: orders.read, description: See your orders}]
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: default, namespace: flows}
spec:
  displayName: Storefront
  type: Confidential
  redirectURIs: ["https://client.example/callback"]
  grantTypes: [authorization_code]
  scopes: [openid]
  resources: [{namespace: flows, name: orders, scopes: [orders.read]}]
  idToken: {signingAlgorithm: ES256}
  authentication: {clientSecret: {source: Generated, secretName: default-oauth}}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: valkey, namespace: flows}
spec:
  authorizationServerName: valkey
  displayName: Storefront
  type: Confidential
  redirectURIs: ["https://client.example/callback"]
  grantTypes: [authorization_code]
  scopes: [openid]
  resources: [{namespace: flows, name: orders, scopes: [orders.read]}]
  idToken: {signingAlgorithm: ES256}
  authentication: {clientSecret: {source: Generated, secretName: valkey-oauth}}
`

// secondIssuer is the URL of the issuer inValkey: at the same listener as the other, under another name.
func (b *bench) secondIssuer() string { return fmt.Sprintf("http://127.0.0.1:%d", b.Listen.HTTP) }

// declare has the controller make what servers need.
func (b *bench) declare(ctx context.Context) (err error) {
	controller, err := b.StartController(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, controller.Close()) }()
	text := strings.NewReplacer("VALKEY", b.valkey, "SECOND", b.secondIssuer()).Replace(manifests)
	if _, _, err := b.KubectlInput(ctx, strings.NewReader(text), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	for _, name := range []string{"default", inValkey} {
		err := site.Poll(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) (bool, error) {
			var c v1alpha1.OAuthClient
			err := b.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &c)
			return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
		})
		if err != nil {
			return fmt.Errorf("OAuthClient %s is not ready: %w", name, err)
		}
	}
	return b.declareUsers(ctx)
}

// declareUsers declares users with the same password. Its hash is as cheap as it may be: how long sign-in takes is not what is measured.
func (b *bench) declareUsers(ctx context.Context) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: site.OperatorNamespace, Name: "password"}, StringData: map[string]string{"password-hash": string(hash)},
	}
	if err := b.Admin.Create(ctx, secret); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range users {
		group.Go(func() error {
			return b.Admin.Create(ctx, &v1alpha1.LocalUser{
				ObjectMeta: metav1.ObjectMeta{Name: userName(i)},
				Spec: v1alpha1.LocalUserSpec{
					AuthorizationServerNames: []string{"default", inValkey}, DisplayName: "Somebody",
					PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: secret.Name},
				},
			})
		})
	}
	return group.Wait()
}

func userName(i int) string { return fmt.Sprintf("user-%04d", i) }

// latchkey is Latchkey at an issuer, by the client of the same name.
func (b *bench) latchkey(ctx context.Context, name string) (*flows.Site, error) {
	var secret corev1.Secret
	if err := b.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name + "-oauth"}, &secret); err != nil {
		return nil, err
	}
	host := strings.TrimPrefix(b.Issuer(), "http://")
	if name == inValkey {
		host = strings.TrimPrefix(b.secondIssuer(), "http://")
	}
	return &flows.Site{
		Address: fmt.Sprintf("127.0.0.1:%d", b.Listen.HTTP), Host: host, Authorize: "/authorize", Token: "/token",
		ClientID: string(secret.Data["client-id"]), ClientSecret: string(secret.Data["client-secret"]),
		RedirectURI: "https://client.example/callback", Scope: "openid orders.read", Resource: "https://orders.flows.svc",
	}, nil
}

// signIn signs so many users in, and returns their browsers' cookies.
func signIn(ctx context.Context, s *flows.Site, n int) ([]string, error) {
	cookies := make([]string, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range cookies {
		group.Go(func() (err error) {
			cookies[i], err = s.SignIn(ctx, userName(i), password)
			return err
		})
	}
	return cookies, group.Wait()
}
