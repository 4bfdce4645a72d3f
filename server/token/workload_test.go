package token

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

const (
	backup    = "system:serviceaccount:demo:backup"
	backupUID = "uid-backup"
)

// ofWorkload is a good access token that Nightly got for Photos on behalf of a ServiceAccount.
func (f *fixture) ofWorkload() *Access {
	return &Access{
		Issuer: f.iss.URL, Subject: backup, WorkloadUID: backupUID, WorkloadCalled: registrytest.Orders, ClientID: registrytest.Nightly, ClientUID: registrytest.NightlyUID,
		Audience: []string{registrytest.Photos}, Scopes: []string{registrytest.PhotosRead}, ID: NewID(),
		IssuedAt: f.now, ExpiresAt: f.now.Add(5 * time.Minute),
	}
}

func TestParseWorkload(t *testing.T) {
	w, ok := ParseWorkload(backup, backupUID, registrytest.Orders)
	if !ok || *w != (Workload{"demo", "backup", backupUID, registrytest.Orders}) || w.Subject() != backup {
		t.Errorf("%+v", w)
	}
	for _, subject := range []string{
		"", "demo.backup", "system:serviceaccount:", "system:serviceaccount:demo", "system:serviceaccount:demo:", "system:serviceaccount::backup",
		"system:serviceaccount:demo:backup:more", "system:serviceaccounts:demo:backup", "system:node:demo:backup", " " + backup, "oauth:serviceaccount:demo:backup",
	} {
		if w, ok := ParseWorkload(subject, backupUID, registrytest.Orders); ok {
			t.Errorf("%q is %+v", subject, w)
		}
	}
	if _, ok := ParseWorkload(backup, "", registrytest.Orders); ok {
		t.Error("one without a UID")
	}
	if _, ok := ParseWorkload(backup, backupUID, ""); ok {
		t.Error("one that called nothing")
	}
}

func TestActorsForAWorkload(t *testing.T) {
	a := newFixture(t).ofWorkload()
	if got := a.Actors(); !slices.Equal(got, []string{registrytest.Nightly}) {
		t.Errorf("actors %v", got)
	}
	a.Via = []Shown{{Party: Party{registrytest.Native, registrytest.NativeUID}}, {Party: Party{registrytest.PrintShop, registrytest.PrintShopUID}}}
	if got := a.Actors(); !slices.Equal(got, []string{registrytest.Nightly, registrytest.PrintShop, registrytest.Native}) {
		t.Errorf("actors %v", got)
	}
}

// Security: a workload's token is taken for nobody else's, and nobody else's for a workload's, although the issuer has signed it.
func TestWorkloadsAreNeitherUsersNorClients(t *testing.T) {
	f := newFixture(t)
	a, err := f.active(f.sign(t, f.ofWorkload()))
	if err != nil || a.User != nil || a.Grant != nil || a.Workload == nil || *a.Workload != (Workload{"demo", "backup", backupUID, registrytest.Orders}) || a.Client.ID != registrytest.Nightly {
		t.Fatalf("%+v, %v", a, err)
	}
	users := f.access()
	for name, change := range map[string]func(*Access){
		"without the UID":          func(a *Access) { a.WorkloadUID = "" },
		"a client's subject":       func(a *Access) { a.Subject = registrytest.Nightly },
		"a user's subject":         func(a *Access) { a.Subject = users.Subject },
		"a name of too many parts": func(a *Access) { a.Subject += ":more" },
		"another kind of system:":  func(a *Access) { a.Subject = "system:masters" },
		"a user's grant":           func(a *Access) { a.GrantID = f.grant.ID },
		"the grant of its client": func(a *Access) {
			a.GrantID, a.ClientID, a.ClientUID = f.grant.ID, registrytest.PrintShop, registrytest.PrintShopUID
		},
		"a user":                func(a *Access) { a.UserUID = registrytest.AliceUID },
		"another client object": func(a *Access) { a.ClientUID, a.IssuedAt = "another", f.now.Add(-time.Minute) },
		"handed on by nobody":   func(a *Access) { a.Via = []Shown{{}} },
		"handed on by a client gone": func(a *Access) {
			a.Via, a.IssuedAt = []Shown{{Party: Party{"demo.gone", "uid-gone"}}}, f.now.Add(-time.Minute)
		},
	} {
		access := f.ofWorkload()
		change(access)
		if a, err := f.active(f.sign(t, access)); !errors.Is(err, ErrInactive) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	// A user's, or a client's own, that says it is a workload's too.
	users.WorkloadUID, users.WorkloadCalled = backupUID, registrytest.Orders
	if _, err := f.active(f.sign(t, users)); !errors.Is(err, ErrInactive) {
		t.Errorf("a user's: %v", err)
	}
	users.Subject = backup
	if _, err := f.active(f.sign(t, users)); !errors.Is(err, ErrInactive) {
		t.Errorf("a user's with the subject: %v", err)
	}
}

// Security: what counts for a workload needs no group, and is never kube-apiserver's.
func TestCountingForAWorkload(t *testing.T) {
	const kubernetes = "https://kubernetes.default.svc"
	f := newFixture(t)
	config := *f.iss.Config
	config.KubernetesAudiences = []string{kubernetes}
	f.iss.Config = &config
	c := registrytest.Client(t, f.iss, registrytest.Nightly)
	r := &registry.Resource{Identifier: kubernetes, Kubernetes: true, Scopes: []*registry.Scope{{Name: oauth.ScopeKubernetes}}}
	c.Access = append(slices.Clone(c.Access), registry.Access{Resource: r, Scopes: r.Scopes})
	f.iss = registrytest.WithClient(f.iss, c)
	access := f.ofWorkload()
	access.Audience = []string{registrytest.Photos, kubernetes}
	access.Scopes = []string{registrytest.PhotosRead, registrytest.PhotosWrite, oauth.ScopeKubernetes}
	a, err := f.active(f.sign(t, access))
	if err != nil {
		t.Fatal(err)
	}
	both := []string{registrytest.Photos, kubernetes}
	if got := a.Counting(f.iss, both); !slices.Equal(got, both[:1]) {
		t.Errorf("it counts at %v", got)
	}
	if got := a.CountingScopes(f.iss, both); !slices.Equal(got, []string{registrytest.PhotosRead}) {
		t.Errorf("scopes %v count", got)
	}
}
