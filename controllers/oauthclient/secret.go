package oauthclient

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// What Latchkey writes on the Secrets it makes.
const (
	// LabelClient names the OAuthClient.
	LabelClient = "oauth.latchkey.io/client"
	// AnnotationSecretID is the id under which the client secret stands in the OAuthClient's status.
	AnnotationSecretID = "oauth.latchkey.io/secret-id"
	// AnnotationSecretCreatedAt is when the client secret was made (RFC 3339).
	AnnotationSecretCreatedAt = "oauth.latchkey.io/secret-created-at"
	// annotationManaged lists what Latchkey put into the Secret, so that it can take it out again.
	annotationManaged = "oauth.latchkey.io/managed"

	// bindingType is the `type` of the Service Binding Specification for Kubernetes; a Secret's own type follows from it.
	bindingType                    = "oauth2"
	secretType   corev1.SecretType = "servicebinding.io/" + bindingType
	bindingMaker                   = "latchkey"
)

// managed is the content of annotationManaged. Values are never in it.
type managed struct {
	// Keys are the names under which the data has our entries.
	Keys        map[string]string `json:"keys"`
	Labels      []string          `json:"labels,omitempty"`
	Annotations []string          `json:"annotations,omitempty"`
}

func managedOf(secret *corev1.Secret) managed {
	var m managed
	if err := json.Unmarshal([]byte(secret.Annotations[annotationManaged]), &m); err != nil {
		return managed{} // somebody removed or broke it; nothing is taken out that we can't know to be ours
	}
	return m
}

// belongs says whether a Secret is this client's: controlled by it, or made by Latchkey for a client of this name that is gone
// (restored from a backup, or the client was created again).
func belongs(secret *corev1.Secret, c *v1alpha1.OAuthClient) bool {
	owner := metav1.GetControllerOf(secret)
	if owner != nil && owner.UID == c.UID {
		return true
	}
	if secret.Labels[status.LabelManagedBy] != status.ManagedBy || secret.Labels[LabelClient] != c.Name {
		return false
	}
	return owner == nil || namesake(*owner, c)
}

// namesake says whether an owner reference is to a client of the same name, which, having another UID, is gone.
func namesake(owner metav1.OwnerReference, c *v1alpha1.OAuthClient) bool {
	group, _, _ := strings.Cut(owner.APIVersion, "/")
	return group == v1alpha1.GroupVersion.Group && owner.Kind == "OAuthClient" && owner.Name == c.Name && owner.UID != c.UID
}

// valueIn is the client secret in a Secret that we made, under the key that it had when we wrote it last.
func valueIn(secret *corev1.Secret, spec *v1alpha1.ClientSecret) string {
	if key, ok := managedOf(secret).Keys[entryClientSecret]; ok {
		return string(secret.Data[key])
	}
	return string(secret.Data[entryName(spec, entryClientSecret)])
}

// createdAt is when the client secret with the id was made: what the Secret says of that very id, else now.
func createdAt(secret *corev1.Secret, id string, now time.Time) time.Time {
	at, err := time.Parse(time.RFC3339, secret.Annotations[AnnotationSecretCreatedAt])
	if err != nil || secret.Annotations[AnnotationSecretID] != id || at.After(now) {
		return now.UTC().Truncate(time.Second)
	}
	return at
}

// desiredSecret is the Secret as it should be, given the live one (nil: none). What others put into it is left there.
func desiredSecret(live *corev1.Secret, c *v1alpha1.OAuthClient, issuer string, ch *chain) (*corev1.Secret, error) {
	spec := clientSecret(c)
	out := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: spec.SecretName}, Type: secretType}
	if live != nil {
		out = live.DeepCopy()
	}
	data, now := entries(c, issuer, ch.current.value)
	other, err := ch.marshal()
	if err != nil {
		return nil, err
	}
	if other != nil {
		data[entryRecord], now.Keys[entryRecord] = other, entryRecord
	}
	labels := stringMap(spec.Labels)
	labels[status.LabelManagedBy], labels[LabelClient] = status.ManagedBy, c.Name
	annotations := stringMap(spec.Annotations)
	now.Labels, now.Annotations = slices.Sorted(maps.Keys(labels)), slices.Sorted(maps.Keys(annotations))
	record, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	annotations[annotationManaged] = string(record)
	annotations[AnnotationSecretID], annotations[AnnotationSecretCreatedAt] = ch.current.id, ch.current.createdAt.UTC().Format(time.RFC3339)

	before := managedOf(out)
	out.Data = merge(out.Data, slices.Collect(maps.Values(before.Keys)), data)
	out.Labels = merge(out.Labels, before.Labels, labels)
	out.Annotations = merge(out.Annotations, before.Annotations, annotations)
	out.OwnerReferences = owners(out.OwnerReferences, c)
	return out, nil
}

// entries are the data of a client's Secret, and the record of the keys they stand under.
func entries(c *v1alpha1.OAuthClient, issuer, value string) (map[string][]byte, managed) {
	spec := clientSecret(c)
	record := managed{Keys: map[string]string{"type": "type", "provider": "provider", "uri": "uri"}}
	data := map[string][]byte{"type": []byte(bindingType), "provider": []byte(bindingMaker), "uri": []byte(issuer)}
	for entry, content := range map[string]string{entryClientID: compile.ClientID(c), entryClientSecret: value, entryIssuer: issuer} {
		key := entryName(spec, entry)
		data[key], record.Keys[entry] = []byte(content), key
	}
	return data, record
}

// merge takes the old entries out of current and puts the new ones in.
func merge[V any](current map[string]V, old []string, add map[string]V) map[string]V {
	out := maps.Clone(current)
	if out == nil {
		out = map[string]V{}
	}
	for _, k := range old {
		delete(out, k)
	}
	maps.Copy(out, add)
	return out
}

// owners makes the client the controller, in place of an earlier client of its name. The deletion of the client is not
// blocked by its Secret: that would ask for a permission, and serves nobody.
func owners(current []metav1.OwnerReference, c *v1alpha1.OAuthClient) []metav1.OwnerReference {
	ours := *metav1.NewControllerRef(c, v1alpha1.GroupVersion.WithKind("OAuthClient"))
	ours.BlockOwnerDeletion = nil
	out := []metav1.OwnerReference{}
	for _, o := range current {
		if o.UID != c.UID && !namesake(o, c) {
			out = append(out, o)
		}
	}
	return append(out, ours)
}

func stringMap[V ~string](m map[string]V) map[string]string {
	out := make(map[string]string, len(m)+2)
	for k, v := range m {
		out[k] = string(v)
	}
	return out
}
