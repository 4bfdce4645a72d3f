package publish

import (
	"fmt"
	"slices"
	"testing"
)

func reads(dependencies ...dependency) map[dependency]struct{} {
	out := map[dependency]struct{}{}
	for _, d := range dependencies {
		out[d] = struct{}{}
	}
	return out
}

func clientUnit(name string) dependency { return dependency{kindOAuthClient, "shop", name} }

// dependingOn are the names of the units that read a dependency.
func dependingOn(u *units, d dependency) []string {
	var names []string
	for unit := range u.depending(d) {
		names = append(names, unit.name)
	}
	slices.Sort(names)
	return names
}

func TestUnitsAreFoundByWhatTheyRead(t *testing.T) {
	issuer, namespace, api := dependency{kindAuthorizationServer, "", "default"}, dependency{kindNamespace, "", "shop"}, dependency{kindResourceServer, "shop", "orders"}
	u := newUnits()
	some := placement{{issuer: "default"}}
	u.set(clientUnit("a"), some, reads(issuer, namespace))
	u.set(clientUnit("b"), some, reads(namespace, issuer))
	u.set(clientUnit("c"), nil, reads(issuer, api)) // refused, and waiting
	expect := func(want ...[]string) {
		t.Helper()
		for i, d := range []dependency{issuer, namespace, api} {
			if got := dependingOn(&u, d); !slices.Equal(got, want[i]) {
				t.Errorf("%+v: %v, want %v", d, got, want[i])
			}
		}
	}
	expect([]string{"a", "b", "c"}, []string{"a", "b"}, []string{"c"})
	u.set(clientUnit("a"), some, reads(issuer, api))
	expect([]string{"a", "b", "c"}, []string{"b"}, []string{"a", "c"})
	u.set(clientUnit("b"), nil, nil) // gone
	expect([]string{"a", "c"}, nil, []string{"a", "c"})
	if u.placed(clientUnit("b")) != nil || len(u.placed(clientUnit("a"))) != 1 {
		t.Error("what is gone has placed something, or what is there has not")
	}
	u.set(clientUnit("a"), nil, nil)
	u.set(clientUnit("c"), nil, nil)
	if len(u.byID) != 0 || len(u.sets) != 0 || len(u.dependants) != 0 {
		t.Errorf("kept of what is gone: %+v", u)
	}
}

// Clients that read the same share the memory of it, however many there are.
func TestWhatManyReadIsKeptOnce(t *testing.T) {
	u := newUnits()
	for i := range 1000 {
		u.set(clientUnit(fmt.Sprint(i)), nil, reads(dependency{kindNamespace, "", "shop"}, allAuthorizationServers))
	}
	if len(u.sets) != 1 || len(u.dependants) != 2 {
		t.Errorf("%d sets, %d dependencies", len(u.sets), len(u.dependants))
	}
}

// Names next to each other are not taken for one another.
func TestReadSetsAreToldApart(t *testing.T) {
	for _, pair := range [][2][]dependency{
		{{{kindResourceServer, "a", "bc"}}, {{kindResourceServer, "ab", "c"}}},
		{{{kindResourceServer, "", "a"}}, {{kindResourceServer, "a", ""}}},
		{{{kindNamespace, "", "a"}}, {{kindSecret, "", "a"}}},
		{{{kindNamespace, "", "a"}, {kindSecret, "", "b"}}, {{kindNamespace, "", "a"}}},
	} {
		if string(keyOf(pair[0])) == string(keyOf(pair[1])) {
			t.Errorf("%+v and %+v have one key", pair[0], pair[1])
		}
	}
}
