package token

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// asRead is what is read of the token, as encoding/json would write it.
func asRead(a *Access) *accessClaims {
	c := &accessClaims{
		Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience, IssuedAt: dateOf(a.IssuedAt), ExpiresAt: dateOf(a.ExpiresAt), ID: a.ID,
		ClientID: a.ClientID, Scope: oauth.JoinScope(a.Scopes), AuthTime: dateOf(a.AuthTime), Actor: a.Actor(),
		Latchkey: latchkeyClaim{Grant: a.GrantID, Client: a.ClientUID, User: a.UserUID, Via: a.Via, Kubernetes: a.Kubernetes},
	}
	if a.WorkloadUID != "" {
		c.Latchkey.ServiceAccount = &accountClaim{UID: a.WorkloadUID, Called: a.WorkloadCalled}
	}
	return c
}

// What is written of a token is what is read of it.
func FuzzAccessClaims(f *testing.F) {
	f.Add("https://login.example.com", "alice", "demo.shop", "https://photos.demo.svc", "a b", "jti", "grant", "", int64(0), uint8(0))
	f.Add("https://x", "system:serviceaccount:a:b", `"\`, "\u2028<&>\xff", "é", "\x00", "", "uid", int64(1900000000), uint8(255))
	f.Fuzz(func(t *testing.T, issuer, subject, client, audience, scope, id, grant, workload string, authTime int64, shape uint8) {
		a := &Access{
			Issuer: issuer, Subject: subject, ClientID: client, Audience: []string{audience, issuer}[:1+shape&1], Scopes: oauth.SplitScope(scope), ID: id,
			GrantID: grant, ClientUID: "uid-" + client, WorkloadUID: workload, WorkloadCalled: audience,
			IssuedAt: time.Unix(1893553445, 0), ExpiresAt: time.Unix(1893554045, 0), AuthTime: time.Unix(authTime%1e11, 0),
		}
		if shape&2 != 0 {
			a.Via = []Shown{{Party: Party{issuer, id}, IssuedAt: authTime, Audience: []string{audience}, Scope: scope}}
		}
		if shape&4 != 0 {
			a.Kubernetes = &KubernetesUser{Username: subject, UID: id, Groups: []string{scope, client}}
		}
		if shape&8 != 0 {
			a.UserUID = id
		}
		want, err := json.Marshal(asRead(a))
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.claims().JSON()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s, %v; encoding/json writes %s", got, err, want)
		}
	})
}
