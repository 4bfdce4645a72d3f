package controllers_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/oauthclient"
)

// storefront is a client with a Generated secret in a namespace of the test's own.
func storefront(t *testing.T, edits ...func(*v1alpha1.OAuthClient)) *v1alpha1.OAuthClient {
	t.Helper()
	c := &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: running.namespace(t, nil), Name: "storefront"},
		Spec: v1alpha1.OAuthClientSpec{
			Type: v1alpha1.ClientConfidential, GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode},
			RedirectURIs:   []v1alpha1.RedirectURI{"https://shop.example/callback"},
			Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{Source: v1alpha1.SecretGenerated, SecretName: "storefront-oauth"}},
		},
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func existing(c *v1alpha1.OAuthClient) {
	c.Spec.Authentication.ClientSecret.Source = v1alpha1.SecretExisting
}

// becomes waits until a condition of the client has the status and reason for its present generation.
func becomes(t *testing.T, c *v1alpha1.OAuthClient, kind string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, kind+"="+string(status)+" "+reason, func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return c.Status.ObservedGeneration == c.Generation && says(c.Status.Conditions, kind, status, reason), err
	})
}

func becomesReady(t *testing.T, c *v1alpha1.OAuthClient) {
	t.Helper()
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// vouches says whether the status of the client has exactly the digest of the secret.
func vouches(t *testing.T, c *v1alpha1.OAuthClient, secret string) bool {
	t.Helper()
	server := compile.EffectiveAuthorizationServer(c.Spec.AuthorizationServerName)
	set, err := compile.ParseKeys(running.secret(t, operatorNamespace, compile.KeysSecretPrefix+server))
	must(t, err)
	if len(c.Status.Secrets) != 1 {
		return false
	}
	s := c.Status.Secrets[0]
	digest := set.ClientDigest(string(c.UID), s.ID, time.Time{}, secret)
	return s.Digest == base64.RawURLEncoding.EncodeToString(digest[:])
}

func TestGeneratedSecretIsMadeAndOnlyItsDigestPublished(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) {
		spec := c.Spec.Authentication.ClientSecret
		spec.Keys = map[string]v1alpha1.SecretKey{"client-id": "CLIENT_ID"}
		spec.Labels = map[string]v1alpha1.LabelValue{"team": "web"}
		spec.Annotations = map[string]v1alpha1.AnnotationValue{"reloader": "yes"}
	})
	running.create(t, c)
	becomesReady(t, c)
	secret := running.secret(t, c.Namespace, "storefront-oauth")
	for key, want := range map[string]string{"CLIENT_ID": c.Namespace + ".storefront", "issuer": defaultIssuer, "uri": defaultIssuer, "type": "oauth2", "provider": "latchkey"} {
		if got := string(secret.Data[key]); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if !metav1.IsControlledBy(secret, c) || secret.Type != "servicebinding.io/oauth2" || secret.Labels["team"] != "web" || secret.Annotations["reloader"] != "yes" {
		t.Errorf("metadata of the Secret: %+v, type %s", secret.ObjectMeta, secret.Type)
	}
	value := string(secret.Data["client-secret"])
	if raw, err := base64.RawURLEncoding.DecodeString(value); err != nil || len(raw) != 32 {
		t.Errorf("the client secret is not 32 bytes in base64url: %v", err)
	}
	if !vouches(t, c, value) || secret.Annotations[oauthclient.AnnotationSecretID] != c.Status.Secrets[0].ID {
		t.Errorf("status.secrets does not stand for the Secret: %+v", c.Status.Secrets)
	}
	text, err := json.Marshal(c)
	must(t, err)
	if strings.Contains(string(text), value) {
		t.Error("the client secret is in the OAuthClient")
	}
	if c.Status.ClientID != c.Namespace+".storefront" || c.Status.AuthorizationServerName != "default" {
		t.Errorf("status: %+v", c.Status)
	}
}

func TestGeneratedSecretIsGarbageCollectedWithItsClient(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := running.secret(t, c.Namespace, "storefront-oauth")
	must(t, running.api.Delete(t.Context(), c))
	eventually(t, "the Secret is gone", running.gone(t, secret))
}

func TestSecretOfSomebodyElseIsNotTouched(t *testing.T) {
	c := storefront(t)
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("somebody else's own secret")}}
	running.create(t, theirs, c)
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretConflict)
	now := running.secret(t, c.Namespace, theirs.Name)
	if now.ResourceVersion != theirs.ResourceVersion || len(c.Status.Secrets) != 0 {
		t.Errorf("the Secret was changed, or its content trusted: %+v", c.Status.Secrets)
	}
	must(t, running.api.Delete(t.Context(), theirs))
	becomesReady(t, c)
}

// What the API server will never take is not tried again and again.
func TestSecretThatCannotBeIsTold(t *testing.T) {
	c := storefront(t, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Labels = map[string]v1alpha1.LabelValue{"not a key": "x"}
	})
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
}

func TestSecretOfAnotherClientIsNotTouched(t *testing.T) {
	first := storefront(t)
	running.create(t, first)
	becomesReady(t, first)
	before := running.secret(t, first.Namespace, "storefront-oauth")
	second := storefront(t, func(c *v1alpha1.OAuthClient) { c.Namespace, c.Name = first.Namespace, "second" })
	running.create(t, second)
	becomes(t, second, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	if running.secret(t, first.Namespace, "storefront-oauth").ResourceVersion != before.ResourceVersion {
		t.Error("the first client's Secret was changed")
	}
}

func TestExistingSecretIsWaitedForFollowedAndNeverWritten(t *testing.T) {
	c := storefront(t, existing)
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	if says(c.Status.Conditions, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretNotFound) {
		t.Error("waiting for a Secret is not a failure")
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("the first secret")}}
	running.create(t, secret)
	becomesReady(t, c)
	if !vouches(t, c, "the first secret") {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
	first := c.Status.Secrets[0]
	secret.Data["client-secret"] = []byte("the second secret")
	must(t, running.api.Update(t.Context(), secret))
	written := secret.ResourceVersion
	eventually(t, "the new secret is followed", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return err == nil && vouches(t, c, "the second secret"), err
	})
	if c.Status.Secrets[0].ID == first.ID {
		t.Error("another secret has the same id")
	}
	must(t, running.api.Update(t.Context(), secret))
	if running.secret(t, c.Namespace, secret.Name).ResourceVersion != written {
		t.Error("the Secret was written")
	}
	must(t, running.api.Delete(t.Context(), secret))
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	if len(c.Status.Secrets) != 0 {
		t.Error("a secret that was taken away is still honoured")
	}
}

func TestWeakExistingSecretIsRefused(t *testing.T) {
	c := storefront(t, existing)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth"}, Data: map[string][]byte{"client-secret": []byte("short")}}
	running.create(t, secret, c)
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	change(t, running, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{"other": []byte("long enough to be one")} })
	becomes(t, c, v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
	if len(c.Status.Secrets) != 0 {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
}

func TestTamperedStatusIsCorrected(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	value := string(running.secret(t, c.Namespace, "storefront-oauth").Data["client-secret"])
	honest := c.DeepCopy()
	for name, tamper := range map[string]func(*v1alpha1.OAuthClientStatus){
		"digest": func(s *v1alpha1.OAuthClientStatus) { s.Secrets[0].Digest = strings.Repeat("A", 43) },
		"expiry": func(s *v1alpha1.OAuthClientStatus) {
			s.Secrets[0].ExpiresAt = &metav1.Time{Time: time.Now().Add(time.Hour)}
		},
		"another secret": func(s *v1alpha1.OAuthClientStatus) {
			s.Secrets = append(s.Secrets, v1alpha1.ClientSecretStatus{ID: "mine", Digest: s.Secrets[0].Digest, CreatedAt: metav1.Now()})
		},
		"age":        func(s *v1alpha1.OAuthClientStatus) { s.Secrets[0].CreatedAt = metav1.NewTime(time.Unix(0, 0)) },
		"everything": func(s *v1alpha1.OAuthClientStatus) { *s = v1alpha1.OAuthClientStatus{} },
		"identity":   func(s *v1alpha1.OAuthClientStatus) { s.ClientID, s.AuthorizationServerName = "shop.other", "other" },
		"verdict":    func(s *v1alpha1.OAuthClientStatus) { s.Conditions[0].Status = metav1.ConditionFalse },
	} {
		t.Run(name, func(t *testing.T) {
			eventually(t, "tamper", func() (bool, error) {
				must(t, running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c))
				tamper(&c.Status)
				err := running.api.Status().Update(t.Context(), c)
				return err == nil, ignoreConflict(err)
			})
			eventually(t, "the status is as it was", func() (bool, error) {
				err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
				return err == nil && c.Status.ClientID == honest.Status.ClientID && c.Status.AuthorizationServerName == "default" &&
					says(c.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady) &&
					vouches(t, c, value) && c.Status.Secrets[0].ExpiresAt == nil && c.Status.Secrets[0].CreatedAt.Equal(&honest.Status.Secrets[0].CreatedAt), err
			})
		})
	}
}

func TestTamperedSecretIsPutRightAndItsClientSecretKept(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	before := running.secret(t, c.Namespace, "storefront-oauth")
	secret := before.DeepCopy()
	change(t, running, secret, func(s *corev1.Secret) {
		s.Data["issuer"], s.Data["theirs"] = []byte("https://evil.example"), []byte("kept")
		delete(s.Data, "client-id")
		s.Labels, s.OwnerReferences = map[string]string{"app.kubernetes.io/managed-by": "latchkey", oauthclient.LabelClient: c.Name, "theirs": "kept"}, nil
	})
	eventually(t, "the Secret is right again", func() (bool, error) {
		now := running.secret(t, c.Namespace, secret.Name)
		want := maps.Clone(before.Data)
		want["theirs"] = []byte("kept")
		return maps.EqualFunc(now.Data, want, func(a, b []byte) bool { return string(a) == string(b) }) &&
			metav1.IsControlledBy(now, c) && now.Labels["theirs"] == "kept", nil
	})
}

func TestBrokenGeneratedClientSecretIsMadeAnew(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := running.secret(t, c.Namespace, "storefront-oauth")
	change(t, running, secret, func(s *corev1.Secret) { s.Data["client-secret"] = []byte("guessable") })
	eventually(t, "a new client secret, published", func() (bool, error) {
		value := string(running.secret(t, c.Namespace, secret.Name).Data["client-secret"])
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(value) == 43 && vouches(t, c, value), err
	})
}

func TestRenamingMovesTheClientSecretAndRemovesTheOld(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	old := running.secret(t, c.Namespace, "storefront-oauth")
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.SecretName = "renamed"
		c.Spec.Authentication.ClientSecret.Keys = map[string]v1alpha1.SecretKey{"client-secret": "PASSWORD"}
	})
	becomesReady(t, c)
	value := string(old.Data["client-secret"])
	if got := string(running.secret(t, c.Namespace, "renamed").Data["PASSWORD"]); got != value || !vouches(t, c, value) {
		t.Error("the client secret did not move")
	}
	eventually(t, "the old Secret is gone", running.gone(t, old))

	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Authentication.ClientSecret.Keys = map[string]v1alpha1.SecretKey{"client-secret": "SECRET"}
	})
	becomesReady(t, c)
	renamed := running.secret(t, c.Namespace, "renamed")
	if _, left := renamed.Data["PASSWORD"]; left || string(renamed.Data["SECRET"]) != value {
		t.Errorf("keys after renaming: %v", maps.Keys(renamed.Data))
	}
}

func TestPublicClientHasNoSecret(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	secret := running.secret(t, c.Namespace, "storefront-oauth")
	change(t, running, c, func(c *v1alpha1.OAuthClient) { c.Spec.Type, c.Spec.Authentication = v1alpha1.ClientPublic, nil })
	becomesReady(t, c)
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionTrue, v1alpha1.ReasonSecretNotNeeded)
	if len(c.Status.Secrets) != 0 {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
	eventually(t, "the Secret is gone", running.gone(t, secret))
}

func TestRestoredSecretIsAdoptedByTheClientCreatedAgain(t *testing.T) {
	c := storefront(t)
	restored := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "storefront-oauth", Labels: map[string]string{"app.kubernetes.io/managed-by": "latchkey", oauthclient.LabelClient: c.Name}},
		Type:       "servicebinding.io/oauth2",
		Data:       map[string][]byte{"client-secret": []byte(base64.RawURLEncoding.EncodeToString(make([]byte, 32)))},
	}
	running.create(t, restored, c)
	becomesReady(t, c)
	now := running.secret(t, c.Namespace, restored.Name)
	if !metav1.IsControlledBy(now, c) || string(now.Data["client-secret"]) != string(restored.Data["client-secret"]) {
		t.Errorf("the Secret was not adopted as it was: %+v", now.ObjectMeta)
	}
	if !vouches(t, c, string(restored.Data["client-secret"])) {
		t.Errorf("status.secrets: %+v", c.Status.Secrets)
	}
}

func TestDigestsFollowTheKeysOfTheIssuer(t *testing.T) {
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "losing"}, Spec: v1alpha1.AuthorizationServerSpec{Issuer: "https://losing.example.com"}}
	running.create(t, as)
	t.Cleanup(func() { deleteWithKeys(t, running, operatorNamespace, as) })
	c := storefront(t, func(c *v1alpha1.OAuthClient) { c.Spec.AuthorizationServerName = as.Name })
	running.create(t, c)
	becomesReady(t, c)
	value := string(running.secret(t, c.Namespace, "storefront-oauth").Data["client-secret"])
	lost := running.secret(t, operatorNamespace, compile.KeysSecretPrefix+as.Name)
	follows := func(what string) {
		t.Helper()
		eventually(t, what, func() (bool, error) {
			var now corev1.Secret
			if err := running.api.Get(t.Context(), client.ObjectKeyFromObject(lost), &now); err != nil {
				return false, client.IgnoreNotFound(err)
			}
			err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
			return err == nil && vouches(t, c, value), err
		})
	}
	before := c.Status.Secrets[0].Digest
	must(t, running.api.Delete(t.Context(), lost.DeepCopy()))
	follows("the digest under new keys")
	if c.Status.Secrets[0].Digest == before {
		t.Error("the new keys digest as the old ones did")
	}
	restored := running.secret(t, operatorNamespace, lost.Name)
	change(t, running, restored, func(s *corev1.Secret) { s.Data = lost.Data })
	eventually(t, "the digest under the restored keys", func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c)
		return len(c.Status.Secrets) == 1 && c.Status.Secrets[0].Digest == before, err
	})
}
