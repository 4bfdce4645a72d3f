package keys_test

import (
	"encoding/base64"
	"fmt"
	"math/big"
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

// A JWS that names its key is verified with that key alone: one without a name is not it.
func TestFindTakesAKeyByItsNameAlone(t *testing.T) {
	const x = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	set, err := keys.ParsePublicSet([]byte(`{"keys":[{` + x + `},{` + x + `,"kid":"other"},{` + x + `,"kid":"k"},{` + x + `,"kid":"k","use":"enc"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if found := set.Find("k", keys.EdDSA); len(found) != 1 || found[0].KID != "k" {
		t.Errorf("found %v", found)
	}
	if all := set.Find("", keys.EdDSA); len(all) != 3 {
		t.Errorf("%d keys for signatures, want 3", len(all))
	}
}

// Security: huge RSA keys: the bound is one of bits.
func TestRSAKeySize(t *testing.T) {
	for bits, want := range map[int]bool{2047: false, 2048: true, 4096: true, 4097: false, 8192: false} {
		n := new(big.Int).SetBit(big.NewInt(1), bits-1, 1)
		_, err := keys.ParsePublicSet([]byte(`{"keys":[{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(n.Bytes()) + `"}]}`))
		if (err == nil) != want {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}
