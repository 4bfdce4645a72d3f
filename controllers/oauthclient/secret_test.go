package oauthclient

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/status"
)

const issuer = "https://login.example.com"

func storefront() *v1alpha1.OAuthClient {
	return &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", UID: "new"},
		Spec: v1alpha1.OAuthClientSpec{Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{
			Source: v1alpha1.SecretGenerated, SecretName: "oauth"}}},
	}
}

func owner(kind, name, uid string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "oauth.latchkey.io/v1alpha1", Kind: kind, Name: name, UID: types.UID(uid), Controller: &yes}}
}

func TestSecretBelongsToItsClientOnly(t *testing.T) {
	ours := map[string]string{status.LabelManagedBy: status.ManagedBy, LabelClient: "storefront"}
	for name, tc := range map[string]struct {
		labels map[string]string
		owners []metav1.OwnerReference
		want   bool
	}{
		"controlled by the client":                         {nil, owner("OAuthClient", "storefront", "new"), true},
		"made for a client of this name that is gone":      {ours, owner("OAuthClient", "storefront", "old"), true},
		"restored from a backup, without owner":            {ours, nil, true},
		"somebody's own":                                   {nil, nil, false},
		"of an earlier client, without our labels":         {nil, owner("OAuthClient", "storefront", "old"), false},
		"made for another client":                          {map[string]string{status.LabelManagedBy: status.ManagedBy, LabelClient: "other"}, nil, false},
		"labelled as ours, controlled by another client":   {ours, owner("OAuthClient", "other", "old"), false},
		"labelled as ours, controlled by another operator": {ours, owner("ExternalSecret", "storefront", "old"), false},
		"labelled with our name by somebody else":          {map[string]string{LabelClient: "storefront"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: tc.labels, OwnerReferences: tc.owners}}
			if got := belongs(secret, storefront()); got != tc.want {
				t.Errorf("belongs: %v", got)
			}
		})
	}
}

func TestDesiredSecretIsStable(t *testing.T) {
	value := &chain{current: secretValue{value: "v", id: "i", createdAt: time.Unix(1, 0)}}
	first, err := desiredSecret(nil, storefront(), issuer, value)
	if err != nil {
		t.Fatal(err)
	}
	again, err := desiredSecret(first, storefront(), issuer, value)
	if err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(first, again) {
		t.Errorf("a Secret that is right would be written:\n%+v\n%+v", first, again)
	}
}

func TestDesiredSecretTakesOutWhatTheSpecNoLongerDeclaresAndLeavesTheRest(t *testing.T) {
	c := storefront()
	spec := c.Spec.Authentication.ClientSecret
	spec.Keys = map[string]v1alpha1.SecretKey{entryClientSecret: "PASSWORD"}
	spec.Labels = map[string]v1alpha1.LabelValue{"team": "web", status.LabelManagedBy: "me"}
	spec.Annotations = map[string]v1alpha1.AnnotationValue{"note": "x", AnnotationSecretID: "mine"}
	value := &chain{current: secretValue{value: "v", id: "i", createdAt: time.Unix(1, 0)}}
	live, err := desiredSecret(nil, c, issuer, value)
	if err != nil {
		t.Fatal(err)
	}
	if live.Labels[status.LabelManagedBy] != status.ManagedBy || live.Annotations[AnnotationSecretID] != "i" {
		t.Errorf("the spec replaces what is ours: %v %v", live.Labels, live.Annotations)
	}
	if valueIn(live, &v1alpha1.ClientSecret{}) != "v" {
		t.Error("the client secret is not found under the key it was written to")
	}
	live.Data["theirs"], live.Labels["theirs"], live.Annotations["theirs"] = []byte("x"), "x", "x"
	spec.Keys, spec.Labels, spec.Annotations = nil, nil, nil
	got, err := desiredSecret(live, c, issuer, value)
	if err != nil {
		t.Fatal(err)
	}
	for what, there := range map[string]bool{
		"data PASSWORD": got.Data["PASSWORD"] != nil, "label team": got.Labels["team"] != "", "annotation note": got.Annotations["note"] != "",
	} {
		if there {
			t.Errorf("%s is left behind", what)
		}
	}
	if string(got.Data[entryClientSecret]) != "v" || got.Data["theirs"] == nil || got.Labels["theirs"] == "" || got.Annotations["theirs"] == "" {
		t.Errorf("something is missing: %+v", got)
	}
}

func TestManagedAnnotationHoldsNoValue(t *testing.T) {
	secret, err := desiredSecret(nil, storefront(), issuer, &chain{current: secretValue{value: "the-client-secret", id: "i"}, previous: []secretValue{{value: "the-client-secret of before"}}})
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range secret.Annotations {
		if strings.Contains(v, "the-client-secret") {
			t.Errorf("annotation %s holds the client secret", k)
		}
	}
}

func TestNameOfWhatIsKeptAsideIsAName(t *testing.T) {
	for _, name := range []string{"a", strings.Repeat("a", 253), strings.Repeat("a.", 126) + "a", strings.Repeat("a", 237) + ".-" + "a"} {
		if bad := validation.IsDNS1123Subdomain(aside(name)); len(bad) > 0 || aside(name) == name {
			t.Errorf("%s: %v", aside(name), bad)
		}
	}
}

func TestOwnersReplaceAnEarlierClient(t *testing.T) {
	c := storefront()
	other := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "y"}
	got := owners(append(owner("OAuthClient", "storefront", "old"), other), c)
	if len(got) != 2 || got[0] != other || got[1].UID != c.UID || !*got[1].Controller || got[1].BlockOwnerDeletion != nil {
		t.Errorf("owners: %+v", got)
	}
}

func TestUsableClientSecrets(t *testing.T) {
	for value, want := range map[string]bool{
		"":                          false,
		"fifteen-letters":           false,
		"sixteen--letters":          true,
		"with spaces and ~ signs":   true,
		"ends in a line break\n":    false,
		"has a tab\tin the middle":  false,
		"has ümlauts in the middle": false,
		strings.Repeat("x", 256):    true,
		strings.Repeat("x", 257):    false,
	} {
		if got := usable(value); got != want {
			t.Errorf("usable(%q) = %v", value, got)
		}
	}
}

func TestCreationTimeIsBelievedForTheSameSecretOnly(t *testing.T) {
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	annotated := func(id, at string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{AnnotationSecretID: id, AnnotationSecretCreatedAt: at}}}
	}
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		want   time.Time
	}{
		"same":       {annotated("i", "2026-01-01T00:00:00Z"), now.Add(-24 * time.Hour)},
		"another":    {annotated("j", "2026-01-01T00:00:00Z"), now},
		"future":     {annotated("i", "2027-01-01T00:00:00Z"), now},
		"unreadable": {annotated("i", "yesterday"), now},
		"none":       {&corev1.Secret{}, now},
	} {
		if got := createdAt(tc.secret, "i", now); !got.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
