package controllers_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/authentication"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// verified is what of an AuthenticationConfiguration is looked at here. kube-apiserver's own code looks at all of it in test/authenticator.
type verified struct {
	JWT []struct {
		Issuer struct {
			URL, DiscoveryURL, CertificateAuthority string
			Audiences                               []string
		}
		ClaimMappings struct{ Username, Groups struct{ Expression string } }
	}
}

// newVerifying is what keeps the AuthenticationConfiguration in the chancery's namespace.
func (c *chancery) newVerifying() *authentication.Reconciler {
	return &authentication.Reconciler{Client: still.api, Namespace: c.reconciler.Namespace, ServingSecret: servingSecret, Address: reviewAddress}
}

func (c *chancery) reconcileVerifying(r *authentication.Reconciler) *corev1.Secret {
	c.t.Helper()
	_, err := r.Reconcile(c.t.Context(), ctrl.Request{})
	must(c.t, err)
	return still.secret(c.t, r.Namespace, authentication.SecretName)
}

func read(t *testing.T, text []byte) verified {
	t.Helper()
	var v verified
	must(t, yaml.Unmarshal(text, &v))
	return v
}

// withKubernetes declares an issuer that has tokens for kube-apiserver, for the time of the test.
func withKubernetes(t *testing.T, s site, name, issuer string, algorithms ...v1alpha1.SigningAlgorithm) *v1alpha1.AuthorizationServer {
	t.Helper()
	as := &v1alpha1.AuthorizationServer{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.AuthorizationServerSpec{
			Issuer: issuer, Signing: &v1alpha1.Signing{Algorithms: algorithms},
			Kubernetes: &v1alpha1.KubernetesAccess{Audiences: []string{"https://kubernetes.default.svc"}, UsernamePrefix: name + ":"},
		},
	}
	s.create(t, as)
	t.Cleanup(func() {
		keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: compile.KeysSecretPrefix + name}}
		must(t, client.IgnoreNotFound(s.api.Delete(context.Background(), as)))
		must(t, client.IgnoreNotFound(s.api.Delete(context.Background(), keys)))
	})
	return as
}

func TestAuthenticationConfigurationHasTheIssuersThatKubeAPIServerCanVerify(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	r := c.newVerifying()
	if got := read(t, c.reconcileVerifying(r).Data[authentication.ConfigKey]); len(got.JWT) != 0 {
		t.Errorf("before there is an issuer: %+v", got)
	}
	withKubernetes(t, still, "verified", "https://verified.example.com")
	withKubernetes(t, still, "by-rs256", "https://rs256.example.com", v1alpha1.EdDSA, v1alpha1.RS256)
	withKubernetes(t, still, "by-eddsa", "https://eddsa.example.com", v1alpha1.EdDSA)
	withKubernetes(t, still, "plain", "http://localhost:20001")
	withKubernetes(t, still, "outer", "https://nested.example.com/outer")
	withKubernetes(t, still, "inner", "https://nested.example.com/outer/inner") // one of the two stands in the other's way
	none := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: "https://none.example.com"}}
	still.create(t, none)
	t.Cleanup(func() { must(t, still.api.Delete(context.Background(), none)) })

	secret := c.reconcileVerifying(r)
	got := read(t, secret.Data[authentication.ConfigKey])
	var urls []string
	for _, jwt := range got.JWT {
		urls = append(urls, jwt.Issuer.URL)
	}
	if all := strings.Join(urls, " "); len(urls) != 3 || !strings.HasPrefix(all, "https://rs256.example.com https://nested.example.com/outer") || urls[2] != "https://verified.example.com" {
		t.Fatalf("issuers %s", all)
	}
	one := got.JWT[2]
	if one.Issuer.DiscoveryURL != "https://10.96.0.20:9443/kubernetes/verified/.well-known/openid-configuration" ||
		one.Issuer.CertificateAuthority != string(still.secret(t, r.Namespace, servingSecret).Data["ca.crt"]) || one.Issuer.Audiences[0] != "https://kubernetes.default.svc" {
		t.Errorf("%+v", one.Issuer)
	}
	if !strings.Contains(one.ClaimMappings.Username.Expression, `"verified:"`) || !strings.Contains(one.ClaimMappings.Groups.Expression, `"oauth.verified:"`) {
		t.Errorf("prefixes: %+v", one.ClaimMappings)
	}
	public := read(t, secret.Data[authentication.PublicKey])
	if len(public.JWT) != 3 || public.JWT[2].Issuer.DiscoveryURL != "" || public.JWT[2].Issuer.CertificateAuthority != "" {
		t.Errorf("at their own URLs: %+v", public.JWT)
	}
	if again := c.reconcileVerifying(r); again.ResourceVersion != secret.ResourceVersion {
		t.Error("written without need")
	}
}

// A kube-apiserver that is given a configuration with nonsense in it does not start.
func TestAuthenticationConfigurationIsLeftWhereTheAuthorityIsNone(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	r := c.newVerifying()
	before := c.reconcileVerifying(r)
	serving := still.secret(t, r.Namespace, servingSecret)
	serving.Data["ca.crt"] = []byte("none")
	must(t, still.api.Update(t.Context(), serving))
	if _, err := r.Reconcile(t.Context(), ctrl.Request{}); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("%v", err)
	}
	if after := still.secret(t, r.Namespace, authentication.SecretName); after.ResourceVersion != before.ResourceVersion {
		t.Error("the Secret was written")
	}
	delete(serving.Data, "ca.crt")
	must(t, still.api.Update(t.Context(), serving))
	withKubernetes(t, still, "public-ca", "https://public-ca.example.com")
	if got := read(t, c.reconcileVerifying(r).Data[authentication.ConfigKey]); len(got.JWT) != 1 || got.JWT[0].Issuer.CertificateAuthority != "" {
		t.Errorf("by a public authority: %+v", got.JWT)
	}
}

func TestAuthenticationConfigurationOfSomebodyElseIsLeftAlone(t *testing.T) {
	c := newChancery(t)
	c.reconcile()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.reconciler.Namespace, Name: authentication.SecretName}}
	still.create(t, secret)
	if after := c.reconcileVerifying(c.newVerifying()); after.ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written")
	}
}

// The controller makes the Secret, follows the issuers, and says of those that are not in it why.
func TestControllerKeepsTheAuthenticationConfiguration(t *testing.T) {
	has := func(issuer string) func() (bool, error) {
		return func() (bool, error) {
			var secret corev1.Secret
			err := running.api.Get(t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: authentication.SecretName}, &secret)
			return bytes.Contains(secret.Data[authentication.ConfigKey], []byte(issuer)), client.IgnoreNotFound(err)
		}
	}
	verifiable := withKubernetes(t, running, "verifiable", "https://verifiable.example.com")
	eddsa := withKubernetes(t, running, "eddsa", "https://only-eddsa.example.com", v1alpha1.EdDSA)
	plain := withKubernetes(t, running, "not-https", "http://localhost:20009")
	eventually(t, "the issuer is in the configuration", has("https://verifiable.example.com"))
	for as, want := range map[*v1alpha1.AuthorizationServer]struct {
		status metav1.ConditionStatus
		reason string
	}{
		verifiable: {metav1.ConditionTrue, v1alpha1.ReasonKubernetesVerifiable},
		eddsa:      {metav1.ConditionFalse, v1alpha1.ReasonAlgorithmNotSupported},
		plain:      {metav1.ConditionFalse, v1alpha1.ReasonIssuerNotHTTPS},
	} {
		eventually(t, as.Name+" says so", func() (bool, error) {
			err := running.api.Get(t.Context(), client.ObjectKeyFromObject(as), as)
			return says(as.Status.Conditions, v1alpha1.ConditionKubernetesVerifiable, want.status, want.reason) &&
				says(as.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady), err
		})
	}
	if found, err := has("only-eddsa.example.com")(); found || err != nil {
		t.Errorf("an issuer that kube-apiserver can't verify is in it: %v", err)
	}
	must(t, running.api.Delete(t.Context(), verifiable))
	eventually(t, "the issuer is gone from the configuration", func() (bool, error) {
		found, err := has("https://verifiable.example.com")()
		return !found, err
	})
}
