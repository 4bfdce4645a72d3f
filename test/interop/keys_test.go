package interop

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keyring are a client's keys, by algorithm.
type keyring map[string]jose.JSONWebKey

func newKeyring() (keyring, error) {
	ec, errEC := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	first, errFirst := rsa.GenerateKey(rand.Reader, 2048)
	second, errSecond := rsa.GenerateKey(rand.Reader, 2048)
	_, ed, errEd := ed25519.GenerateKey(rand.Reader)
	ring := keyring{}
	for algorithm, key := range map[string]crypto.Signer{"ES256": ec, "RS256": first, "PS256": second, "EdDSA": ed} {
		ring[algorithm] = jose.JSONWebKey{Key: key, KeyID: "of-" + algorithm, Algorithm: algorithm, Use: "sig"}
	}
	return ring, errors.Join(errEC, errFirst, errSecond, errEd)
}

// public is the JWK Set that others see.
func (k keyring) public() ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, key := range k {
		set.Keys = append(set.Keys, key.Public())
	}
	return json.Marshal(set)
}

// assertion is for authentication by private_key_jwt (RFC 7523).
func (k keyring) assertion(clientID, audience string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k["ES256"]}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: clientID, Subject: clientID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
}

// certify makes a certificate for servers of this machine, by the authority that Latchkey keeps for its own.
func certify(ctx context.Context) (tls.Certificate, error) {
	secret, err := core.CoreV1().Secrets("latchkey-system").Get(ctx, "latchkey-serving-ca", metav1.GetOptions{})
	if err != nil {
		return tls.Certificate{}, err
	}
	authority, err := tls.X509KeyPair(secret.Data["ca.crt"], secret.Data["ca.key"])
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority.Leaf, key.Public(), authority.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}
