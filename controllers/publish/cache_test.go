package publish

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func manyMembers() metav1.ObjectMeta {
	now := metav1.NewTime(time.Unix(1_700_000_000, 0))
	return metav1.ObjectMeta{
		Namespace: "shop", Name: "storefront", UID: "uid", ResourceVersion: "7", Generation: 3, CreationTimestamp: now, DeletionTimestamp: &now,
		Labels: map[string]string{"team": "shop"}, Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"},
		Finalizers: []string{"example.com/hold"}, OwnerReferences: []metav1.OwnerReference{{Name: "owner"}},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &now, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}},
	}
}

// What compile and the record of use read of a client is all there, and what is for people is not.
func TestCacheKeepsOfAClientWhatIsRead(t *testing.T) {
	spec := v1alpha1.OAuthClientSpec{
		AuthorizationServerName: "default", DisplayName: "Storefront", Type: v1alpha1.ClientConfidential,
		RedirectURIs: []v1alpha1.RedirectURI{"https://shop.example/callback"},
		GrantTypes:   []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}, Scopes: []v1alpha1.IdentityScope{"openid", "profile"},
		Resources:      []v1alpha1.ResourceReference{{Namespace: "shop", Name: "orders", Scopes: []string{"orders.read"}}},
		Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{Source: v1alpha1.SecretGenerated, SecretName: "storefront-oauth"}},
	}
	c := &v1alpha1.OAuthClient{ObjectMeta: manyMembers(), Spec: *spec.DeepCopy(), Status: v1alpha1.OAuthClientStatus{
		ObservedGeneration: 3, ClientID: "shop.storefront", AuthorizationServerName: "default", LastHandledRotation: "now",
		Secrets:     []v1alpha1.ClientSecretStatus{{ID: "one", Digest: "digest"}},
		SecretUsage: []v1alpha1.ClientSecretUsage{{ID: "one"}},
		Conditions:  []metav1.Condition{{Type: "Ready"}},
	}}
	want := &v1alpha1.OAuthClient{Spec: spec, Status: v1alpha1.OAuthClientStatus{Secrets: c.Status.Secrets, SecretUsage: c.Status.SecretUsage}}
	want.ObjectMeta = metav1.ObjectMeta{
		Namespace: "shop", Name: "storefront", UID: "uid", ResourceVersion: "7", Generation: 3,
		CreationTimestamp: c.CreationTimestamp, DeletionTimestamp: c.DeletionTimestamp,
	}
	p, err := keep(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpacked(p); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if again, err := keep(p); err != nil || again != p {
		t.Errorf("what is kept already is kept as %v, %v", again, err)
	}
}

func TestCacheKeepsOfTheOthersWhatIsRead(t *testing.T) {
	user := &v1alpha1.LocalUser{ObjectMeta: manyMembers(), Spec: v1alpha1.LocalUserSpec{Email: "alice@example.com"}, Status: v1alpha1.LocalUserStatus{ObservedGeneration: 3}}
	api := &v1alpha1.ResourceServer{ObjectMeta: manyMembers(), Spec: v1alpha1.ResourceServerSpec{Identifier: "https://orders.shop.svc"}, Status: v1alpha1.ResourceServerStatus{ObservedGeneration: 3}}
	issuer := &v1alpha1.AuthorizationServer{ObjectMeta: manyMembers(), Spec: v1alpha1.AuthorizationServerSpec{Issuer: "https://login.example.com"}, Status: v1alpha1.AuthorizationServerStatus{ObservedGeneration: 3}}
	namespace := &metav1.PartialObjectMetadata{ObjectMeta: manyMembers()}
	for _, o := range []metav1.Object{user, api, issuer, namespace} {
		if _, err := keep(o); err != nil {
			t.Fatal(err)
		}
		if len(o.GetAnnotations()) != 0 || len(o.GetFinalizers()) != 0 || len(o.GetOwnerReferences()) != 0 || o.GetDeletionTimestamp() == nil || o.GetUID() != "uid" || o.GetGeneration() != 3 {
			t.Errorf("%T: %+v", o, o)
		}
	}
	if user.Status.ObservedGeneration != 0 || api.Status.ObservedGeneration != 0 || issuer.Status.ObservedGeneration != 0 {
		t.Error("a status is kept that nobody reads")
	}
	if user.Spec.Email == "" || api.Spec.Identifier == "" || issuer.Spec.Issuer == "" || namespace.Labels["team"] != "shop" {
		t.Error("what is read is not kept")
	}
	if len(user.ManagedFields) != 1 || user.ManagedFields[0].FieldsV1 != nil || len(api.ManagedFields) != 0 {
		t.Error("of managed fields, when a user's spec was written is to be kept, and nothing else")
	}
}

func TestCacheLeavesMissedDeletionsAlone(t *testing.T) {
	gone := toolscache.DeletedFinalStateUnknown{Key: "shop/storefront"}
	if kept, err := keep(gone); err != nil || kept != any(gone) {
		t.Errorf("%v, %v", kept, err)
	}
}
