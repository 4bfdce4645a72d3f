package token

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

func TestActive(t *testing.T) {
	f := newFixture(t)
	for _, alg := range []keys.Algorithm{keys.ES256, keys.RS256} {
		want := f.access()
		raw, err := want.Sign(f.iss.Keys, alg, f.now)
		if err != nil {
			t.Fatal(err)
		}
		a, err := f.active(raw, "https://other.svc", registrytest.Photos)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		got := a.Access
		got.IssuedAt, got.ExpiresAt, got.AuthTime = got.IssuedAt.UTC(), got.ExpiresAt.UTC(), got.AuthTime.UTC()
		if !reflect.DeepEqual(got, *want) {
			t.Errorf("%s: got %+v\nwant %+v", alg, got, *want)
		}
		if a.Client.ID != registrytest.PrintShop || a.User.Name != registrytest.Alice || a.Grant.ID != f.grant.ID {
			t.Errorf("%s: got client %q, user %q, grant %q", alg, a.Client.ID, a.User.Name, a.Grant.ID)
		}
	}
}

func TestActiveWithoutUser(t *testing.T) {
	f := newFixture(t)
	client := f.access()
	client.Subject, client.GrantID, client.UserUID = client.ClientID, "", ""
	a, err := f.active(f.sign(t, client))
	if err != nil || a.User != nil || a.Grant != nil || a.Client == nil {
		t.Errorf("a client's own token: got %+v, %v", a, err)
	}
	for name, change := range map[string]func(*Access){
		"names a user":      func(a *Access) { a.UserUID = registrytest.AliceUID },
		"subject of a user": func(a *Access) { a.Subject = f.access().Subject },
	} {
		other := *client
		change(&other)
		if _, err := f.active(f.sign(t, &other)); !errors.Is(err, ErrInactive) {
			t.Errorf("%s: got %v, want ErrInactive", name, err)
		}
	}
}

// TestInactive: what was a good token is not any more, or not for that party.
func TestInactive(t *testing.T) {
	tests := map[string]func(f *fixture, a *Access) (audiences []string){
		"audience: another resource server": func(*fixture, *Access) []string { return []string{registrytest.Orders} },
		"audience: none asked for":          func(*fixture, *Access) []string { return []string{} },
		"audience: empty":                   func(*fixture, *Access) []string { return []string{""} },
		"audience: a prefix": func(*fixture, *Access) []string {
			return []string{registrytest.Photos + "/", registrytest.Photos[:len(registrytest.Photos)-1]}
		},
		"token without audience": func(_ *fixture, a *Access) []string { a.Audience = nil; return nil },
		"expired this second":    func(f *fixture, a *Access) []string { f.now = a.ExpiresAt; return nil },
		"without expiry":         func(_ *fixture, a *Access) []string { a.ExpiresAt = time.Time{}; return nil },
		"issued too far ahead": func(f *fixture, a *Access) []string {
			a.IssuedAt = f.now.Add(leeway + time.Second)
			return nil
		},
		"deleted client": func(f *fixture, _ *Access) []string {
			f.iss = registrytest.Without(f.iss, registrytest.PrintShop)
			return nil
		},
		"client created again under the same name": func(f *fixture, _ *Access) []string {
			c, _ := f.iss.Client(registrytest.PrintShop)
			again := *c
			again.UID = "another"
			f.iss = registrytest.WithClient(f.iss, &again)
			return nil
		},
		"deleted user": func(f *fixture, _ *Access) []string {
			f.iss = registrytest.Without(f.iss, registrytest.Alice)
			return nil
		},
		"user created again under the same name": func(f *fixture, _ *Access) []string {
			u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
			again := *u
			again.UID = "another"
			f.iss = registrytest.WithUser(f.iss, &again)
			return nil
		},
		"user whose subject changed": func(f *fixture, _ *Access) []string {
			u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
			other := *u
			other.Subject = "another"
			f.iss = registrytest.WithUser(f.iss, &other)
			return nil
		},
		"grant of another issuer": func(f *fixture, _ *Access) []string {
			config := *f.iss.Config
			config.Name = "another"
			f.iss.Config = &config
			return nil
		},
		"grant of another client": func(_ *fixture, a *Access) []string {
			a.ClientID, a.ClientUID = registrytest.Native, registrytest.NativeUID
			return nil
		},
		"grant of another user": func(_ *fixture, a *Access) []string { a.UserUID = registrytest.BobUID; return nil },
		"grant of the user's predecessor": func(f *fixture, a *Access) []string {
			u, _ := f.iss.User(registrytest.Alice, registrytest.AliceUID)
			again := *u
			again.UID = "another"
			f.iss = registrytest.WithUser(f.iss, &again)
			a.UserUID = again.UID
			return nil
		},
		"longer than is read": func(_ *fixture, a *Access) []string {
			a.Scopes = append(a.Scopes, strings.Repeat("s", maxLength*3/4))
			return nil
		},
		"unknown grant": func(_ *fixture, a *Access) []string { a.GrantID = NewID(); return nil },
	}
	base := newFixture(t)
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			f, issuer := *base, *base.iss
			seen := NewSeen()
			f.iss, f.verifier = &issuer, &Verifier{Grants: base.grants, SignOuts: base.verifier.SignOuts, Now: func() time.Time { return f.now }, Seen: seen}
			a := f.access()
			audiences := change(&f, a)
			raw, err := a.Sign(f.iss.Keys, keys.ES256, base.now)
			if err != nil {
				t.Fatal(err)
			}
			for _, presented := range []string{"for the first time", "again", "after it was good"} {
				if got, err := f.active(raw, audiences...); !errors.Is(err, ErrInactive) {
					t.Errorf("%s: got %+v, %v, want ErrInactive", presented, got, err)
				}
				if presented == "again" { // who was told yes or no as the world was before the change doesn't matter here
					before := &Verifier{Grants: base.grants, SignOuts: base.verifier.SignOuts, Now: base.clock, Seen: seen}
					if _, err := before.Active(t.Context(), base.iss, raw, []string{registrytest.Photos}); err != nil && !errors.Is(err, ErrInactive) {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestLeeway(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	a.IssuedAt = f.now.Add(leeway)
	if _, err := f.active(f.sign(t, a)); err != nil {
		t.Errorf("a token from a clock %s ahead: %v", leeway, err)
	}
	raw := f.sign(t, f.access())
	f.now = f.now.Add(10*time.Minute - time.Nanosecond)
	if _, err := f.active(raw); err != nil {
		t.Errorf("a token in its last moment: %v", err)
	}
}

func TestGrantGone(t *testing.T) {
	for name, end := range map[string]func(*fixture) error{
		"revoked": func(f *fixture) error {
			return f.grants.Revoke(context.Background(), f.grant.ID, store.ReasonCodeReplayed, f.now)
		},
		"deleted": func(f *fixture) error { return f.grants.Delete(context.Background(), f.grant.ID) },
	} {
		f := newFixture(t)
		raw := f.sign(t, f.access())
		if err := end(f); err != nil {
			t.Fatal(err)
		}
		if _, err := f.active(raw); !errors.Is(err, ErrInactive) {
			t.Errorf("%s: got %v, want ErrInactive", name, err)
		}
	}
}

// TestGrantExpired: a grant that ends before its token ends the token.
func TestGrantExpired(t *testing.T) {
	f := newFixture(t)
	a := f.access()
	a.ExpiresAt = f.now.Add(time.Hour)
	raw := f.sign(t, a)
	f.now = f.grant.ExpiresAt
	if _, err := f.active(raw); !errors.Is(err, ErrInactive) {
		t.Errorf("got %v, want ErrInactive", err)
	}
}

type brokenStore struct{ store.Grants }

var errBroken = errors.New("the store does not answer")

func (brokenStore) Get(context.Context, string) (*store.Grant, error) { return nil, errBroken }

// TestUnknownIsNotNo: a store that does not answer must not make a good token look bad.
func TestUnknownIsNotNo(t *testing.T) {
	f := newFixture(t)
	f.verifier.Grants = brokenStore{}
	if _, err := f.active(f.sign(t, f.access())); errors.Is(err, ErrInactive) || !errors.Is(err, errBroken) {
		t.Errorf("got %v, want an error that is not ErrInactive", err)
	}
}

func TestPeekIssuer(t *testing.T) {
	f := newFixture(t)
	good := f.sign(t, f.access())
	if iss, ok := PeekIssuer(good); !ok || iss != issuerURL {
		t.Errorf("got %q, %v, want %q", iss, ok, issuerURL)
	}
	payload := func(body string) string { return "e30." + segmentRaw(body) + ".c2ln" }
	for name, raw := range map[string]string{
		"empty":          "",
		"opaque":         "0123456789abcdef",
		"two parts":      "e30.e30",
		"four parts":     good + ".e30",
		"not base64url":  "e30.e30=.c2ln",
		"not JSON":       payload("{"),
		"trailing":       payload(`{"iss":"a"} {"iss":"b"}`),
		"array":          payload(`["iss"]`),
		"null":           payload("null"),
		"no iss":         payload(`{"sub":"x"}`),
		"other case":     payload(`{"ISS":"https://login.example.com"}`),
		"iss twice":      payload(`{"iss":"a","iss":"a"}`),
		"sub twice":      payload(`{"iss":"a","sub":"a","sub":"b"}`),
		"iss a number":   payload(`{"iss":1}`),
		"iss null":       payload(`{"iss":null}`),
		"iss empty":      payload(`{"iss":""}`),
		"too long":       payload(`{"iss":"a","pad":"` + string(make([]byte, maxLength)) + `"}`),
		"just too long":  good + string(make([]byte, maxLength)),
		"nested in sub":  payload(`{"sub":{"iss":"a"}}`),
		"only separator": "..",
	} {
		if iss, ok := PeekIssuer(raw); ok {
			t.Errorf("%s: got %q", name, iss)
		}
	}
}

func TestReplicaLagIsNoNo(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		gone bool
		no   bool
	}{
		"not seen yet":               {time.Second, false, false},
		"gone":                       {time.Second, true, true},
		"not seen for half a minute": {31 * time.Second, false, true},
	} {
		for _, who := range []string{registrytest.PrintShop, registrytest.Alice} {
			f := newFixture(t)
			raw := f.sign(t, f.access())
			f.iss = registrytest.Without(f.iss, who)
			if !c.gone {
				f.iss.Gone = registry.Map[struct{}]{}
			}
			f.now = f.now.Add(c.age)
			_, err := f.active(raw, registrytest.Photos)
			if err == nil || errors.Is(err, ErrInactive) != c.no {
				t.Errorf("%s, %s: %v", who, name, err)
			}
		}
	}
}
