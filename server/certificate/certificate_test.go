package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"
)

// pair makes a self-signed certificate with the serial number.
func pair(t *testing.T, serial int64) (chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func serial(t *testing.T, h *Holder) int64 {
	t.Helper()
	c, err := h.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.Int64()
}

func TestCertificateIsReplacedWhileServing(t *testing.T) {
	h := &Holder{}
	if err := h.Ready(); !errors.Is(err, ErrNone) {
		t.Errorf("before the first: %v", err)
	}
	for n := range int64(2) {
		if err := h.Set(pair(t, n+1)); err != nil {
			t.Fatal(err)
		}
		if got := serial(t, h); got != n+1 {
			t.Errorf("serves certificate %d, want %d", got, n+1)
		}
	}
}

func TestBadPairLeavesTheGoodOneInPlace(t *testing.T) {
	h := &Holder{}
	chain, key := pair(t, 1)
	if err := h.Set(chain, key); err != nil {
		t.Fatal(err)
	}
	_, otherKey := pair(t, 2)
	for name, bad := range map[string][2][]byte{"another's key": {chain, otherKey}, "nothing": {}, "garbage": {chain, []byte("x")}} {
		if err := h.Set(bad[0], bad[1]); err == nil {
			t.Errorf("%s: taken", name)
		}
		if serial(t, h) != 1 {
			t.Errorf("%s: the good one is gone", name)
		}
	}
}
