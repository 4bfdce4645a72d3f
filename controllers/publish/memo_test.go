package publish

import (
	"testing"
)

// What was compiled for many is forgotten when something changes that was read for it, and nothing of it is left; the rest stays.
func TestMemoForgetsWhatReadWhatChanged(t *testing.T) {
	issuer, api, other := dependency{kindAuthorizationServer, "", "default"}, dependency{kindResourceServer, "shop", "orders"}, dependency{kindResourceServer, "shop", "stock"}
	m := newMemo()
	m.set("orders", memoEntry{1, reads(issuer, api)})
	m.set("stock", memoEntry{2, reads(issuer, other)})
	m.set("texts", memoEntry{3, nil})
	m.forget([]dependency{api, {kindNamespace, "", "shop"}})
	if m.entries["stock"].value != 2 || m.entries["texts"].value != 3 || len(m.entries) != 2 || len(m.readers) != 2 {
		t.Errorf("left: %+v", m)
	}
	m.forget([]dependency{issuer})
	if len(m.entries) != 1 || len(m.readers) != 0 {
		t.Errorf("left: %+v", m)
	}
}

func TestMemoIsBounded(t *testing.T) {
	m := newMemo()
	for i := range maxMemo + 1 {
		m.set(i, memoEntry{i, reads(dependency{kindNamespace, "", "shop"})})
	}
	m.forget(nil)
	if len(m.entries) != 0 || len(m.readers) != 0 {
		t.Errorf("%d are remembered", len(m.entries))
	}
	if maxMemo > 65_536 {
		t.Errorf("a server remembers %d", maxMemo)
	}
}
