package controllers_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/valkeyserver"
	"github.com/latchkey-io/latchkey/server/storage"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/storetest"
	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// storageReady waits for what an AuthorizationServer says of its storage.
func storageReady(t *testing.T, as *v1alpha1.AuthorizationServer, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, "StorageReady is "+string(status)+", "+reason, func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(as), as)
		own := meta.FindStatusCondition(as.Status.Conditions, v1alpha1.ConditionStorageReady)
		ready := meta.FindStatusCondition(as.Status.Conditions, v1alpha1.ConditionReady)
		return own != nil && own.Status == status && own.Reason == reason && ready.Status == status, err
	})
}

func TestStorageReadySaysWhetherItCanBeUsed(t *testing.T) {
	server := valkeyserver.Start(t, valkeyserver.Options{})
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "kept-elsewhere"}, Spec: v1alpha1.AuthorizationServerSpec{
		Issuer:  "https://kept-elsewhere.example",
		Storage: &v1alpha1.Storage{Valkey: v1alpha1.ValkeyStorage{SecretRef: v1alpha1.ValkeySecretReference{Name: "kept-elsewhere"}}},
	}}
	running.create(t, as)
	storageReady(t, as, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "kept-elsewhere"}}
	running.create(t, secret)
	storageReady(t, as, metav1.ConditionFalse, v1alpha1.ReasonStorageUnreachable)

	change(t, running, secret, func(s *corev1.Secret) { s.Data = map[string][]byte{"addresses": []byte(server.Address)} })
	storageReady(t, as, metav1.ConditionTrue, v1alpha1.ReasonStorageReady)

	server.Kill(t)
	storageReady(t, as, metav1.ConditionFalse, v1alpha1.ReasonStorageUnreachable)
	server.Restart(t)
	storageReady(t, as, metav1.ConditionTrue, v1alpha1.ReasonStorageReady)
}

func TestGrantsOfADeletedClientArePurgedWhereTheyAreKept(t *testing.T) {
	server := valkeyserver.Start(t, valkeyserver.Options{})
	data := map[string][]byte{"addresses": []byte(server.Address)}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "purged"}, Data: data}
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "purged"}, Spec: v1alpha1.AuthorizationServerSpec{
		Issuer:  "https://purged.example",
		Storage: &v1alpha1.Storage{Valkey: v1alpha1.ValkeyStorage{SecretRef: v1alpha1.ValkeySecretReference{Name: "purged"}}},
	}}
	c := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "purged"}, Spec: v1alpha1.OAuthClientSpec{
		AuthorizationServerName: as.Name, Type: v1alpha1.ClientPublic, GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}, RedirectURIs: []v1alpha1.RedirectURI{"https://app.example/callback"},
	}}
	running.create(t, secret, as, c)
	storageReady(t, as, metav1.ConditionTrue, v1alpha1.ReasonStorageReady)

	gone, stays := storetest.NewGrant(), storetest.NewGrant()
	gone.ClientUID = string(c.UID)
	inStorage := func(f func(*valkey.Store) error) {
		t.Helper()
		must(t, storage.Use(data, f))
	}
	inStorage(func(s *valkey.Store) error {
		return errors.Join(s.Create(t.Context(), gone, store.NoLimit), s.Create(t.Context(), stays, store.NoLimit))
	})
	must(t, running.api.Delete(t.Context(), c))
	inStorage(func(s *valkey.Store) error {
		eventually(t, "the client's grant is gone", func() (bool, error) {
			_, err := s.Get(t.Context(), gone.ID)
			if errors.Is(err, store.ErrNotFound) {
				return true, nil
			}
			return false, err
		})
		_, err := s.Get(t.Context(), stays.ID)
		return err
	})
}
