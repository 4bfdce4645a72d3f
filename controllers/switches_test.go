package controllers_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const clientKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

func TestClientThatSignsAssertionsNeedsNoSecret(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}}
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication = &v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWT{JWKS: clientKeys}}
	})
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionTrue, v1alpha1.ReasonSecretNotNeeded)
	becomesReady(t, c)
	if len(c.Status.Secrets) != 0 || len(c.Status.Relaxations) != 0 {
		t.Errorf("status: %+v", c.Status)
	}
	eventually(t, "the Secret is gone", running.gone(t, secret))
}

func TestClientThatIsAServiceAccountNeedsNoSecret(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}}
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication = &v1alpha1.ClientAuthentication{ServiceAccount: &v1alpha1.ServiceAccountAuthentication{Names: []v1alpha1.ServiceAccountName{"storefront"}}}
	})
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionTrue, v1alpha1.ReasonSecretNotNeeded)
	becomesReady(t, c)
	if said := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionSecretReady); !strings.Contains(said.Message, "ServiceAccounts [storefront]") || len(c.Status.Secrets) != 0 {
		t.Errorf("status: %+v", c.Status)
	}
	eventually(t, "the Secret is gone", running.gone(t, secret))
}

func TestKeysOfAClientThatCannotBeAreTold(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication = &v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWT{JWKS: `{"keys":[]}`}}
	})
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalid)
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalid)
	change(t, running, c, func(c *v1alpha1.OAuthClient) { c.Spec.Authentication.PrivateKeyJWT.JWKS = clientKeys })
	becomesReady(t, c)
}

func TestRelaxationsAreInStatus(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication = &v1alpha1.ClientAuthentication{PrivateKeyJWT: &v1alpha1.PrivateKeyJWT{JWKS: clientKeys, Audience: v1alpha1.AudienceIssuerOrTokenEndpoint}}
		c.Spec.PKCE = v1alpha1.PKCEOptional
		c.Spec.RefreshTokens = &v1alpha1.RefreshTokens{Rotation: v1alpha1.RotateNever}
	})
	running.create(t, c)
	becomesReady(t, c)
	want := []v1alpha1.Relaxation{v1alpha1.RelaxedPKCE, v1alpha1.RelaxedAssertionAudience, v1alpha1.RelaxedRefreshTokenRotation}
	if !slices.Equal(c.Status.Relaxations, want) {
		t.Errorf("%v", c.Status.Relaxations)
	}
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.PrivateKeyJWT.Audience, c.Spec.PKCE, c.Spec.RefreshTokens = "", "", nil
	})
	becomesReady(t, c)
	if len(c.Status.Relaxations) != 0 {
		t.Errorf("strict again: %v", c.Status.Relaxations)
	}
}

func TestDisabledClientIsAsDeclared(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) { c.Spec.Disabled = true })
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDisabled)
	change(t, running, c, func(c *v1alpha1.OAuthClient) { c.Spec.Disabled = false })
	becomesReady(t, c)
}
