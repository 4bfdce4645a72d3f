package apiserver

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// ways are the kube-apiservers by how they know Latchkey.
func ways() []*cluster { return []*cluster{asking, verifying, both} }

// Whichever way kube-apiserver knows Latchkey, a token is the same user's, with the same groups, uid and extra.
func TestEachWayNamesTheSameUser(t *testing.T) {
	user := alices(t, "openid groups kubernetes", kubernetesAudience)
	forBoth := alices(t, "photos.read kubernetes", photos, kubernetesAudience)
	for name, test := range map[string]struct {
		raw, username string
		groups        []string
		actor         authenticationv1.ExtraValue
	}{
		"a user's":        {user.AccessToken, "oauth:alice", []string{"oauth:photographers", "oauth:staff"}, nil},
		"a client's own":  {mustOwn(t, "default", "robot"), "oauth:client:demo:robot", nil, nil},
		"got by exchange": {exchanged(t, forBoth.AccessToken), "oauth:alice", []string{"oauth:photographers", "oauth:staff"}, []string{"demo.gateway"}},
		"another prefix":  {mustOwn(t, "brief", "hurry"), "briefly:client:demo:hurry", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			first := ways()[0].takes(t, name, test.raw)
			want := append(slices.Clone(test.groups), "system:authenticated")
			if first.Username != test.username || !slices.Equal(first.Groups, want) || first.UID == "" || !reflect.DeepEqual(first.Extra["oauth.latchkey.io/actor"], test.actor) {
				t.Errorf("%+v", first)
			}
			if id := first.Extra["authentication.kubernetes.io/credential-id"]; len(id) != 1 || id[0] != "JTI="+claims(t, test.raw)["jti"].(string) {
				t.Errorf("credential-id %v", id)
			}
			for _, key := range []string{"issuer", "client-id", "scope"} {
				if len(first.Extra["oauth.latchkey.io/"+key]) == 0 {
					t.Errorf("no extra %s in %v", key, first.Extra)
				}
			}
			for _, c := range ways()[1:] {
				if got := c.takes(t, name, test.raw); !reflect.DeepEqual(got, first) {
					t.Errorf("%s: %+v\n%s: %+v", c.name, got, ways()[0].name, first)
				}
			}
		})
	}
}

// kube-apiserver knows no EdDSA: it has to ask.
func TestOnlyAskingTakesEdDSA(t *testing.T) {
	raw := mustOwn(t, "eddsa", "edward")
	first, second := asking.takes(t, "EdDSA", raw), both.takes(t, "EdDSA", raw)
	if first.Username != "oauth.eddsa:client:demo:edward" || !reflect.DeepEqual(first, second) {
		t.Errorf("%+v, %+v", first, second)
	}
	verifying.takes(t, "another", mustOwn(t, "default", "robot"))
	verifying.refuses(t, "EdDSA", raw)
	out, _, err := home.Kubectl(t.Context(), "get", "authorizationserver", "eddsa", "-o", `jsonpath={.status.conditions[?(@.type=="KubernetesVerifiable")].reason}`)
	if err != nil || out != "AlgorithmNotSupported" {
		t.Errorf("status says %q, %v", out, err)
	}
}

// The one documented difference: who verifies a token itself learns that it is revoked when it expires, within five minutes.
func TestOnlyAskingLearnsOfARevocation(t *testing.T) {
	raw := alices(t, "kubernetes", kubernetesAudience).AccessToken
	user := asking.takes(t, "a user's", raw)
	for _, c := range ways() {
		c.takes(t, "a user's", raw)
	}
	if _, _, err := home.Kubectl(t.Context(), "delete", "oauthgrant", "-n", operatorNamespace, user.Extra["oauth.latchkey.io/grant-id"][0]); err != nil {
		t.Fatal(err)
	}
	asking.eventually(t, "refuses a revoked token", func(ctx context.Context) (bool, error) {
		user, err := asking.whoami(ctx, raw)
		return user == nil, err
	})
	for _, c := range []*cluster{verifying, both} {
		if got, err := c.whoami(t.Context(), raw); err != nil || got == nil {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	if c := claims(t, raw); c["exp"].(float64)-c["iat"].(float64) > 300 {
		t.Errorf("it lives from %v to %v", c["iat"], c["exp"])
	}
}

// Issuers come and go without a restart, when the file is copied again. One that kube-apiserver refuses leaves it as it was, and is counted.
func TestConfigurationIsReadAgain(t *testing.T) {
	raw := mustOwn(t, "default", "robot")
	verifying.takes(t, "a client's own", raw)
	whole, err := os.ReadFile(filepath.Join(verifying.files, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifying.configure(t, string(whole)) })
	verifying.configure(t, strings.ReplaceAll(string(whole), "MatchAny", "MatchAll"))
	verifying.reloads(t, "failure")
	verifying.takes(t, "another of the issuer's", mustOwn(t, "default", "robot"))
	verifying.configure(t, "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt: []\n")
	verifying.reloads(t, "success")
	verifying.eventually(t, "refuses what it has just taken, ten seconds later", func(ctx context.Context) (bool, error) {
		user, err := verifying.whoami(ctx, raw)
		return user == nil, err
	})
	verifying.configure(t, string(whole))
	verifying.takes(t, "a client's own", raw)
}

// reloads waits until kube-apiserver says that it has read another configuration, with that result.
func (c *cluster) reloads(t *testing.T, result string) {
	t.Helper()
	c.eventually(t, "reads its configuration again with "+result, func(ctx context.Context) (bool, error) {
		metrics, _, err := c.cp.Kubectl(ctx, "get", "--raw", "/metrics")
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "apiserver_authentication_config_controller_automatic_reloads_total") && strings.Contains(line, `status="`+result+`"`) {
				return true, nil
			}
		}
		return false, err
	})
}

// The last of all: by now a token has expired that was good when the tests began.
func TestEachWayRefusesTheSameTokens(t *testing.T) {
	user := alices(t, "openid groups kubernetes", kubernetesAudience)
	for _, c := range ways() {
		c.takes(t, "the token itself", user.AccessToken) // that what follows is not refused for another reason
		c.takes(t, "one that ends soon", mustOwn(t, "brief", "hurry"))
	}
	parts, robots := strings.Split(user.AccessToken, "."), strings.Split(mustOwn(t, "default", "robot"), ".")
	ended(t, brief)
	for name, raw := range map[string]string{
		"an ID token":                   user.IDToken,
		"for an API":                    alices(t, "openid photos.read", photos).AccessToken,
		"a client's own, for an API":    mustOwn(t, "default", "robot", photos),
		"for userinfo":                  alices(t, "openid").AccessToken,
		"of an issuer that is nothing":  mustOwn(t, "stranger", "strange", photos),
		"expired":                       brief,
		"with another's payload":        parts[0] + "." + robots[1] + "." + parts[2],
		"with another's header":         strings.Split(user.IDToken, ".")[0] + "." + parts[1] + "." + parts[2],
		"without its signature":         parts[0] + "." + parts[1] + ".",
		"with a signature not its own":  parts[0] + "." + parts[1] + "." + robots[2],
		"with alg none":                 "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"no token":                      "abc",
		"of a ServiceAccount elsewhere": homeToken(t),
	} {
		for _, c := range ways() {
			c.refuses(t, name, raw)
		}
	}
}

// homeToken is a ServiceAccount token of another cluster, whose issuer is called the same.
func homeToken(t *testing.T) string {
	t.Helper()
	raw, _, err := home.ServiceAccountToken(t.Context(), operatorNamespace, "latchkey-server", nil, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// ended waits until the token has expired.
func ended(t *testing.T, raw string) {
	t.Helper()
	expiry := time.Unix(int64(claims(t, raw)["exp"].(float64)), 0)
	verifying.eventually(t, "has a clock", func(context.Context) (bool, error) { return time.Now().After(expiry.Add(time.Second)), nil })
}
