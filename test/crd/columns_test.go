package crd

import (
	"context"
	"strings"
	"testing"
)

// What is switched off is seen in the list, where it is as Ready as the others.
func TestDisabledIsSeenInTheList(t *testing.T) {
	apply(t, `
apiVersion: v1
kind: Namespace
metadata: {name: columns}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: switched-off, namespace: columns}
spec: {type: Public, disabled: true, grantTypes: [authorization_code], redirectURIs: [https://app.example/callback]}
---
apiVersion: oauth.latchkey.io/v1alpha1
kind: LocalUser
metadata: {name: switched-off}
spec: {disabled: true}
`)
	t.Cleanup(func() {
		if _, _, err := cluster.Kubectl(context.WithoutCancel(t.Context()), "delete", "--wait=false", "namespace/columns", "localuser.oauth.latchkey.io/switched-off"); err != nil {
			t.Error(err)
		}
	})
	for _, args := range [][]string{{"oauthclient", "-n", "columns"}, {"localuser"}} {
		out, _, err := cluster.Kubectl(t.Context(), append([]string{"get", "-o", "wide"}, append(args, "switched-off")...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Log("\n" + out)
		header, row, _ := strings.Cut(out, "\n")
		at := strings.Index(header, "DISABLED")
		if at < 0 || !strings.HasPrefix(row[min(at, len(row)):], "true") {
			t.Errorf("it is not seen:\n%s", out)
		}
	}
}
