package compile

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/registry"
)

// storage is where the issuer's grants are kept, nil for objects of Kubernetes. Where its Secret is missing it is a place that can't be
// used, and never another one: a grant that is looked for in the wrong place is not there.
func storage(w World, as *v1alpha1.AuthorizationServer) (*registry.Storage, *Problem) {
	if as.Spec.Storage == nil {
		return nil, nil
	}
	name := as.Spec.Storage.Valkey.SecretRef.Name
	secret := w.OperatorSecret(name)
	if secret == nil {
		return &registry.Storage{Key: "no Secret " + name}, &Problem{v1alpha1.ConditionStorageReady, v1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("spec.storage.valkey.secretRef: there is no Secret %s in the operator's namespace; create it, with the key addresses", name), false}
	}
	if secret.Data == nil {
		return &registry.Storage{Key: "empty Secret", Data: map[string][]byte{}}, nil // nil would say that there is none
	}
	return &registry.Storage{Key: digest(secret.Data), Data: secret.Data}, nil
}

// digest tells the contents of Secrets apart.
func digest(data map[string][]byte) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		for _, part := range [][]byte{[]byte(key), data[key]} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
