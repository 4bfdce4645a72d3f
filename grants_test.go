package main

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/store"
)

// What would revoke more than was said is refused, and so is what was said to no effect.
func TestGrantsThatAreWrong(t *testing.T) {
	for _, args := range []string{"", "delete", "revoke", "revoke --all --user alice", "revoke abc --all", "list --all", "list abc", "list --no-such-flag", "revoke --user"} {
		if err := grantsCommand(t.Context(), strings.Fields(args), t.Output()); !errors.Is(err, errUsage) {
			t.Errorf("latchkey grants %s: %v", args, err)
		}
	}
	if err := grantsCommand(t.Context(), []string{"list", "--kubeconfig=/nowhere"}, t.Output()); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("without a cluster: %v", err)
	}
}

func TestGrantsAreThoseThatTheFlagsName(t *testing.T) {
	g := &store.Grant{ID: "abc", User: "alice", ClientID: "shop.storefront", AuthorizationServer: "default"}
	for args, want := range map[string]bool{
		"--all":                               true,
		"abc":                                 true,
		"other":                               false,
		"other abc --user alice":              true,
		"abc --user=bob":                      false,
		"--user alice":                        true,
		"--client shop.storefront":            true,
		"--client shop.other --user alice":    false,
		"--issuer default --user alice":       true,
		"--issuer other --user alice":         false,
		"--namespace elsewhere --user alic":   false,
		"--user alice --client=shop --issuer": false,
	} {
		o := &grantsOptions{ids: map[string]bool{}}
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(t.Output())
		o.register(fs)
		if err := o.parse(fs, strings.Fields(args)); err != nil {
			if want {
				t.Errorf("%s: %v", args, err)
			}
			continue
		}
		if got := o.matches(g); got != want {
			t.Errorf("%s: %t, want %t", args, got, want)
		}
	}
}
