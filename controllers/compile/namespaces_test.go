package compile

import (
	"slices"
	"testing"
)

func TestNamespacesWhoseWorkloadsAreAccepted(t *testing.T) {
	m := newMemory(t)
	m.namespaces = map[string]map[string]string{"shop": {"team": "shop"}, "web": {"team": "web"}, "bare": nil}
	for text, want := range map[string][]string{
		`{issuer: "https://a.example.com", allowedNamespaces: {selector: {}}}`:                                                                     {"bare", "shop", "web"},
		`{issuer: "https://b.example.com", allowedNamespaces: {selector: {matchLabels: {team: web}}}}`:                                             {"web"},
		`{issuer: "https://c.example.com", allowedNamespaces: {selector: {matchLabels: {team: nobody}}}}`:                                          {},
		`{issuer: "https://d.example.com", allowedNamespaces: {selector: {matchExpressions: [{key: team, operator: Sometimes, values: [shop]}]}}}`: {},
	} {
		allowed := AllowedNamespaces(m, m.addServer(t, "x", text))
		var got []string
		for name := range allowed {
			got = append(got, name)
		}
		if slices.Sort(got); allowed == nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if allowed := AllowedNamespaces(m, m.addServer(t, "all", `{issuer: "https://all.example.com"}`)); allowed != nil {
		t.Errorf("without a selector: %v", allowed)
	}
}
