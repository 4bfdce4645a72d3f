package keys_test

import (
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/server/keys"
)

// A key may name its algorithm as RFC 8037 or as RFC 9864 does.
func TestAnEd25519KeyMayNameItsAlgorithmEitherWay(t *testing.T) {
	for alg, want := range map[string]int{"EdDSA": 1, "Ed25519": 1, "": 1, "ES256": 0, "Ed448": 0} {
		member := ""
		if alg != "" {
			member = fmt.Sprintf(`,"alg":%q`, alg)
		}
		set, err := keys.ParsePublicSet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"` + member + `}]}`))
		if found := 0; err == nil {
			if found = len(set.Find("k", keys.EdDSA)); found != want {
				t.Errorf("%q: %d keys", alg, found)
			}
		} else if want > 0 {
			t.Errorf("%q: %v", alg, err)
		}
	}
}
