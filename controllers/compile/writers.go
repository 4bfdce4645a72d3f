package compile

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// SpecWriters are those of an object's managed fields that tell when its spec was written, without the fields themselves: enough
// for LocalUser, and little enough for a cache to keep. They are their own SpecWriters.
func SpecWriters(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var out []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if e.Subresource == "" && e.Time != nil && writesSpec(e.FieldsV1) {
			e.FieldsV1 = nil
			out = append(out, e)
		}
	}
	return out
}

func writesSpec(fields *metav1.FieldsV1) bool {
	if fields == nil {
		return true
	}
	var top map[string]json.RawMessage
	return json.Unmarshal(fields.GetRawBytes(), &top) == nil && top["f:spec"] != nil
}

// specChangedAt is when the user's spec changed last, in whole seconds, as the API server notes for each who writes it; when the
// user was created where it notes nothing.
func specChangedAt(u *v1alpha1.LocalUser) time.Time {
	last := u.CreationTimestamp.Time
	for _, e := range SpecWriters(u.ManagedFields) {
		if e.Time.After(last) {
			last = e.Time.Time
		}
	}
	return last
}
