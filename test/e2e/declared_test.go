package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// robot is a client that acts for itself and signs assertions with a key of its own.
type robot struct {
	*app
	tenant tenant
	name   string
	key    jose.JSONWebKey
}

// declare applies the client with a new key, which replaces the former one.
func (r *robot) declare() {
	r.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	r.key = jose.JSONWebKey{Key: private, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{r.key.Public()}})
	if err != nil {
		r.t.Fatal(err)
	}
	apply(r.t, fmt.Sprintf(`
apiVersion: oauth.latchkey.io/v1alpha1
kind: OAuthClient
metadata: {name: %s, namespace: %s}
spec:
  type: Confidential
  grantTypes: [client_credentials]
  %s
  authentication: {privateKeyJWT: {jwks: '%s'}}
`, r.name, r.tenant.namespace, using(r.tenant), set))
	ready(r.t, r.tenant.clients(), r.name)
}

// asks asks for a token with an assertion that is signed with the key.
func (r *robot) asks(ctx context.Context, key jose.JSONWebKey) (tokens, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return tokens{}, err
	}
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: r.id, Subject: r.id, Audience: jwt.Audience{r.issuer}, ID: rand.Text(), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
	if err != nil {
		return tokens{}, err
	}
	return r.token(ctx, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "resource": {r.resource},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
}

// comesToAnswer waits until a token request is answered with that status.
func (r *robot) comesToAnswer(what string, key jose.JSONWebKey, status int) (last tokens) {
	r.t.Helper()
	eventually(r.t, what, enforced, func(ctx context.Context) (bool, error) {
		var err error
		last, err = r.asks(ctx, key)
		return last.status == status, err
	})
	return last
}

func TestServiceIsKnownByTheKeyItDeclares(t *testing.T) {
	n := newTenant(t)
	service := n.api("")
	r := &robot{tenant: n, name: "robot", app: &app{t: t, issuer: live.Issuer, id: n.namespace + ".robot", resource: n.identifier()}}
	r.declare()
	first := r.key
	answer := r.comesToAnswer("a token for the service itself", first, http.StatusOK)
	if answer.Scope != "orders.read" || answer.IDToken != "" {
		t.Errorf("%+v", answer)
	}
	if user := service.accepts(answer.AccessToken); user.Username != "oauth:client:"+n.namespace+":robot" || len(user.Groups) != 0 {
		t.Errorf("the service is reviewed as %+v", user)
	}

	r.declare()
	r.comesToAnswer("a token for the new key", r.key, http.StatusOK)
	if refused, err := r.asks(t.Context(), first); err != nil || refused.status != http.StatusUnauthorized || refused.Error != "invalid_client" {
		t.Errorf("the former key is answered with HTTP %d %s, %v", refused.status, refused.Error, err)
	}
}

func TestChangedProfileIsTold(t *testing.T) {
	n := newTenant(t)
	n.declareAPI("")
	a := n.publicApp("app")
	a.resource = "" // for userinfo alone
	user := newUser(t)
	kubectl(t, "", "patch", "localuser", user.name, "--type=merge", "--patch", `{"spec":{"profile":{"nickname":"Al"}}}`)
	answer, _ := a.tokens(user, "openid profile")
	var told struct {
		Nickname  string `json:"nickname"`
		UpdatedAt int64  `json:"updated_at"`
	}
	eventually(t, "userinfo tells the nickname", enforced, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/userinfo", nil)
		if err != nil {
			return false, err
		}
		request.Header.Set("Authorization", "Bearer "+answer.AccessToken)
		_, text, err := send(request)
		if err != nil {
			return false, err
		}
		err = json.Unmarshal(text, &told)
		return told.Nickname == "Al", err
	})
	if age := time.Since(time.Unix(told.UpdatedAt, 0)); age < 0 || age > patience {
		t.Errorf("updated_at is %v ago", age)
	}
}

func TestOptionalPKCEIsForThatClientAlone(t *testing.T) {
	n := newTenant(t)
	n.api("")
	a := n.confidentialApp("old", "default", live.Issuer)
	without := func() string {
		r := a.ask("orders.read")
		address, err := url.Parse(r.url)
		if err != nil {
			t.Fatal(err)
		}
		query := address.Query()
		query.Del("code_challenge")
		query.Del("code_challenge_method")
		address.RawQuery = query.Encode()
		r.url = address.String()
		return describe(newPerson(t, "alice", "wonderland").open(r), r)
	}
	if met := without(); met != "redirect: invalid_request" {
		t.Errorf("without PKCE, the browser meets %s", met)
	}
	kubectl(t, "", "patch", "oauthclient", "old", "-n", n.namespace, "--type=merge", "--patch", `{"spec":{"pkce":"Optional"}}`)
	eventually(t, "PKCE is optional", enforced, func(context.Context) (bool, error) { return without() == signInPage, nil })
	eventually(t, "status says so", patience, func(ctx context.Context) (bool, error) {
		shown, err := live.Kubectl(ctx, "", "get", "oauthclient", "old", "-n", n.namespace, "-o", "jsonpath={.status.relaxations}")
		return shown == `["PKCEOptional"]`, err
	})
}
