package clientauth

import (
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// Which ServiceAccounts are clients is tested with those of a real cluster, in test/serviceaccounts. This is what needs none.
func TestServiceAccountTokenNeedsClientID(t *testing.T) {
	a := newAsserting(t)
	account := a.sign(nil, func(c map[string]any) {
		c["iss"], c["sub"] = "https://kubernetes.example", "system:serviceaccount:demo:print-shop"
	})
	_, err := a.present("/token", account)
	if e := oauth.AsError(err); err == nil || e.Code != oauth.InvalidClient || e.Description != errUnnamed().Description {
		t.Errorf("without client_id: %v", err)
	}
	a.wantRefused("of a client that signs assertions", account, "client_id", id)
	a.declare(nil)
	a.wantRefused("of a client without a credential", account, "client_id", id)
	a.wantRefused("of nobody", account, "client_id", "demo.nobody")
}

// A server that has nobody to ask knows no ServiceAccounts.
func TestServiceAccountsOfNoCluster(t *testing.T) {
	a := newAsserting(t)
	a.declareAccounts("print-shop")
	account := a.sign(nil, func(c map[string]any) {
		c["iss"], c["sub"] = "https://kubernetes.example", "system:serviceaccount:demo:print-shop"
	})
	a.wantRefused("a ServiceAccount token", account, "client_id", id)
	a.wantRefused("an assertion", a.sign(nil, nil), "client_id", id)
}
