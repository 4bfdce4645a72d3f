package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// jwk is a public key as RFC 7517 and RFC 7518 section 6 write it. For a thumbprint only the required members are set,
// and they stand in lexicographic order, as RFC 7638 wants.
type jwk struct {
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	E   string `json:"e,omitempty"`
	KID string `json:"kid,omitempty"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	Use string `json:"use,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

func newJWK(public crypto.PublicKey) (jwk, error) {
	enc := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4 ‖ X ‖ Y
		if err != nil {
			return jwk{}, err
		}
		half := (len(point) - 1) / 2
		return jwk{Kty: "EC", Crv: k.Curve.Params().Name, X: enc(point[1 : 1+half]), Y: enc(point[1+half:])}, nil
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", N: enc(k.N.Bytes()), E: enc(big.NewInt(int64(k.E)).Bytes())}, nil
	case ed25519.PublicKey: // RFC 8037 section 2
		return jwk{Kty: "OKP", Crv: "Ed25519", X: enc(k)}, nil
	}
	return jwk{}, fmt.Errorf("keys: no JWK for a key of type %T", public)
}

// thumbprint is the RFC 7638 thumbprint.
func thumbprint(public crypto.PublicKey) (string, error) {
	k, err := newJWK(public)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

func marshalJWKS(signing []*SigningKey) ([]byte, error) {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range signing {
		j, err := newJWK(k.Private.Public())
		if err != nil {
			return nil, err
		}
		j.KID, j.Alg, j.Use = k.KID, string(k.Algorithm), "sig"
		set.Keys = append(set.Keys, j)
	}
	return json.Marshal(set)
}
