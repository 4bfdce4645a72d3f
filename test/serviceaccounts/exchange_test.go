package serviceaccounts

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/workload/workloadtest"
)

const (
	photosAPI = "demo.photos-api"
	ordersAPI = "shop.orders-api"
	stockAPI  = "shop.stock-api"
	stock     = "https://stock.shop.svc"
	stockRead = "stock.read"
	apiSecret = "api-secret-0123456789abcdef"
	family    = "orders.family"
	apiserver = "https://kubernetes.default.svc"
)

// newExchange is a site in which three APIs are clients too, which may exchange the tokens that they are shown and ask for all scopes of
// all three, and of kube-apiserver. One scope of Orders is for a group. Nightly introspects.
func newExchange(t *testing.T, c *workloadtest.Cluster) *site {
	t.Helper()
	s := newSite(t, c)
	config := *s.Issuer("").Config
	config.KubernetesAudiences = []string{apiserver}
	s.configure(config)
	s.resource(registrytest.Photos, func(r *registry.Resource) { r.Exchangers = []string{photosAPI} })
	s.resource(registrytest.Orders, func(r *registry.Resource) {
		r.Exchangers, r.Introspectors = []string{ordersAPI}, []string{registrytest.Nightly}
		r.Scopes = append(r.Scopes, &registry.Scope{Name: family, RequiredGroups: []string{registrytest.Family}})
	})
	iss := registrytest.WithResource(s.Issuer(""), &registry.Resource{
		Identifier: stock, Namespace: "shop", Name: "stock", Lifetime: 10 * time.Minute, Algorithm: keys.ES256,
		Scopes: []*registry.Scope{{Name: stockRead}}, Exchangers: []string{stockAPI},
	})
	kubernetes := &registry.Resource{Identifier: apiserver, Kubernetes: true, Algorithm: keys.ES256, Scopes: []*registry.Scope{{Name: oauth.ScopeKubernetes}}}
	for _, id := range []string{photosAPI, ordersAPI, stockAPI} {
		namespace, name, _ := strings.Cut(id, ".")
		client := &registry.Client{
			ID: id, UID: "uid-" + name, Namespace: namespace, Name: name, GrantTypes: []string{oauth.GrantTokenExchange},
			Secrets: []registry.Secret{{ID: "one", Digest: iss.Keys.ClientDigest("uid-"+name, "one", time.Time{}, apiSecret)}},
			Access:  []registry.Access{{Resource: kubernetes, Scopes: kubernetes.Scopes}},
		}
		for _, identifier := range []string{registrytest.Photos, registrytest.Orders, stock} {
			r, _ := iss.Resources.Get(identifier)
			client.Access = append(client.Access, registry.Access{Resource: r, Scopes: r.Scopes})
		}
		iss = registrytest.WithClient(iss, client)
	}
	s.Publish(iss)
	return s
}

// configure publishes the issuer with another configuration.
func (s *site) configure(config registry.Config) {
	s.t.Helper()
	iss := *s.Issuer("")
	iss.Config = &config
	s.Publish(&iss)
}

// resource publishes a resource with a change.
func (s *site) resource(identifier string, change func(*registry.Resource)) {
	s.t.Helper()
	r, ok := s.Issuer("").Resources.Get(identifier)
	if !ok {
		s.t.Fatalf("no resource %s", identifier)
	}
	clone := *r
	change(&clone)
	s.Publish(registrytest.WithResource(s.Issuer(""), &clone))
}

// exchange exchanges a ServiceAccount token as the photos' API for one for Orders; pairs change the request.
func (s *site) exchange(raw string, pairs ...string) reply {
	s.t.Helper()
	return s.present("/token", "", append([]string{
		"client_id", photosAPI, "client_secret", apiSecret, "client_assertion_type", "", "client_assertion", "",
		"grant_type", oauth.GrantTokenExchange, "subject_token", raw, "subject_token_type", oauth.TokenTypeJWT,
		"resource", registrytest.Orders, "scope", registrytest.OrdersRead,
	}, pairs...)...)
}

func (s *site) exchanged(raw string, pairs ...string) reply {
	s.t.Helper()
	got := s.exchange(raw, pairs...)
	if got.status != http.StatusOK {
		s.t.Fatalf("%v: %d %s", pairs, got.status, got.text)
	}
	return got
}

func (s *site) notExchanged(what, raw string, code oauth.Code, pairs ...string) {
	s.t.Helper()
	if got := s.exchange(raw, pairs...); got.status != code.Status() || got.string("error") != string(code) {
		s.t.Errorf("%s: %d %s, want %s", what, got.status, got.text, code)
	}
}

// introspected is what is told of a token for Orders.
func (s *site) introspected(raw string) map[string]any {
	s.t.Helper()
	return s.present("/introspect", "", "client_id", registrytest.Nightly, "client_secret", registrytest.NightlySecret,
		"client_assertion_type", "", "client_assertion", "", "token", raw).body
}

func payload(t *testing.T, raw string) map[string]any {
	t.Helper()
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(body, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// A pod calls the photos' API with the token that kubelet gives it for that API; for that, the API gets one for Orders, on behalf of the
// pod's ServiceAccount. kube-apiserver is asked once in 10 seconds, and nothing is written.
func TestExchangeOfAServiceAccountToken(t *testing.T) {
	s := newExchange(t, cluster)
	raw, _ := cluster.PodToken(t, s.account, registrytest.Photos)
	sub := "system:serviceaccount:demo:" + s.account
	s.Writes.Store(0)
	got := s.exchanged(raw)
	for range 2 {
		s.exchanged(raw)
	}
	if asked := s.wire.Requests("tokenreviews"); asked != 1 || s.Writes.Load() != 0 {
		t.Errorf("%d questions to kube-apiserver, %d writes", asked, s.Writes.Load())
	}
	want := map[string]any{
		"access_token": got.string("access_token"), "issued_token_type": oauth.TokenTypeAccessToken, "token_type": "Bearer",
		"expires_in": 300.0, "scope": registrytest.OrdersRead,
	}
	if !reflect.DeepEqual(got.body, want) {
		t.Errorf("answered %v", got.body)
	}
	c := payload(t, got.string("access_token"))
	account := payload(t, raw)["kubernetes.io"].(map[string]any)["serviceaccount"].(map[string]any)
	for name, want := range map[string]any{
		"sub": sub, "client_id": photosAPI, "aud": []any{registrytest.Orders}, "act": map[string]any{"sub": photosAPI}, "auth_time": nil,
		"oauth.latchkey.io": map[string]any{"client": "uid-photos-api", "serviceAccount": map[string]any{"uid": account["uid"], "aud": registrytest.Photos}},
	} {
		if !reflect.DeepEqual(c[name], want) {
			t.Errorf("%s is %v, want %v", name, c[name], want)
		}
	}
	told := s.introspected(got.string("access_token"))
	if told["active"] != true || told["sub"] != sub || told["username"] != nil || told["client_id"] != photosAPI || told["scope"] != registrytest.OrdersRead {
		t.Errorf("introspection tells %v", told)
	}
	log := s.Log.String()
	if !strings.Contains(log, `"subject_service_account":"demo/`+s.account+`"`) || strings.Contains(log, raw[strings.LastIndexByte(raw, '.'):]) {
		t.Error("the audit does not name the ServiceAccount, or holds its token")
	}
	// It is no token of a user's, and no credential of a client.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/userinfo", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+got.string("access_token"))
	if response, err := s.Client().Do(r); err != nil || response.StatusCode != http.StatusUnauthorized || response.Body.Close() != nil {
		t.Errorf("userinfo: %v, %v", response, err)
	}
	s.wantEverywhere("as an assertion", got.string("access_token"), http.StatusUnauthorized, oauth.InvalidClient)
}

// What was got is handed on like any other access token, and says who acts for whom. It dies with each of those who act.
func TestExchangeForAServiceAccountIsHandedOn(t *testing.T) {
	s := newExchange(t, cluster)
	next := func(client, raw, target, scope string) reply {
		return s.exchange(raw, "client_id", client, "subject_token_type", oauth.TokenTypeAccessToken, "resource", target, "scope", scope)
	}
	raw := s.exchanged(cluster.Token(t, s.account, registrytest.Photos)).string("access_token")
	s.Clock.Advance(2 * time.Minute)
	for _, step := range [][3]string{{ordersAPI, stock, stockRead}, {stockAPI, registrytest.Orders, registrytest.OrdersRead}} {
		got := next(step[0], raw, step[1], step[2])
		if got.status != http.StatusOK || got.body["expires_in"] != 180.0 {
			t.Fatalf("%s: %d %s", step[0], got.status, got.text)
		}
		raw = got.string("access_token")
	}
	act := map[string]any{"sub": stockAPI, "act": map[string]any{"sub": ordersAPI, "act": map[string]any{"sub": photosAPI}}}
	if c := payload(t, raw); !reflect.DeepEqual(c["act"], act) || c["sub"] != "system:serviceaccount:demo:"+s.account {
		t.Errorf("claims %v", c)
	}
	// Not back to where the workload came from, where it has no scopes, and not to kube-apiserver, by whatever detour.
	for target, scope := range map[string]string{registrytest.Photos: registrytest.PhotosRead, apiserver: oauth.ScopeKubernetes} {
		if got := next(ordersAPI, raw, target, scope); got.string("error") != string(oauth.InvalidScope) {
			t.Errorf("at %s: %d %s", target, got.status, got.text)
		}
	}
	fourth := next(ordersAPI, raw, stock, stockRead)
	if got := next(stockAPI, fourth.string("access_token"), registrytest.Orders, registrytest.OrdersRead); fourth.status != http.StatusOK || got.string("error") != string(oauth.InvalidRequest) {
		t.Errorf("four actors: %d %s; five: %d %s", fourth.status, fourth.text, got.status, got.text)
	}
	iss := s.Issuer("")
	for _, id := range []string{photosAPI, ordersAPI, stockAPI} {
		s.Publish(registrytest.Without(iss, id))
		if told := s.introspected(raw); told["active"] != false {
			t.Errorf("it outlives %s: %v", id, told)
		}
	}
	s.Publish(iss)
	if told := s.introspected(raw); told["active"] != true {
		t.Errorf("it is not good again: %v", told)
	}
}

// The new token is good for no longer than the one shown, than the target's owner says, and than 5 minutes.
func TestExchangeForAServiceAccountLivesShortly(t *testing.T) {
	s := newExchange(t, cluster)
	raw := cluster.Token(t, s.account, registrytest.Photos)
	short := cluster.Resign(t, raw, func(c map[string]any) { c["exp"] = s.Clock.Now().Unix() + 120 })
	if got := s.exchanged(short).body["expires_in"]; got != 120.0 {
		t.Errorf("a token that has 2 minutes gives %v seconds", got)
	}
	s.change(photosAPI, func(c *registry.Client) {
		orders := *c.Access[2].Resource
		orders.Lifetime = time.Minute
		c.Access[2].Resource = &orders
	})
	if got := s.exchanged(raw).body["expires_in"]; got != 60.0 {
		t.Errorf("a target with a minute gives %v seconds", got)
	}
}

// One asks for what the target's owner allows the client, and for nothing that takes a user.
func TestExchangeForAServiceAccountAsked(t *testing.T) {
	s := newExchange(t, cluster)
	raw := cluster.Token(t, s.account, registrytest.Photos)
	if got := s.exchanged(raw, "scope", "").string("scope"); got != "orders.read orders.write" {
		t.Errorf("all that may be had is %q", got)
	}
	s.exchanged(raw, "resource", "", "audience", registrytest.Orders)
	s.notExchanged("a scope for a group", raw, oauth.InvalidScope, "scope", family)
	s.notExchanged("openid", raw, oauth.InvalidScope, "scope", "openid orders.read")
	s.notExchanged("the API that it is for", raw, oauth.InvalidScope, "resource", registrytest.Photos, "scope", registrytest.PhotosRead)
	s.notExchanged("kube-apiserver", raw, oauth.InvalidScope, "resource", apiserver, "scope", oauth.ScopeKubernetes)
	s.notExchanged("the issuer", raw, oauth.InvalidTarget, "resource", s.URL)
	s.notExchanged("an unknown API", raw, oauth.InvalidTarget, "resource", "https://nowhere.svc")
	s.notExchanged("two APIs", raw, oauth.InvalidTarget, "audience", registrytest.Photos)
	s.notExchanged("an actor token", raw, oauth.InvalidRequest, "actor_token", raw, "actor_token_type", oauth.TokenTypeJWT)
	s.notExchanged("a JWT wanted", raw, oauth.InvalidRequest, "requested_token_type", oauth.TokenTypeJWT)
	s.change(photosAPI, func(c *registry.Client) {
		c.Access[2] = registry.Access{Resource: c.Access[2].Resource, Scopes: c.Access[2].Scopes[1:]}
	})
	s.notExchanged("a scope that its owner does not allow", raw, oauth.InvalidScope)
	s.change(photosAPI, func(c *registry.Client) { c.Access = c.Access[:2] })
	s.notExchanged("an API whose owner allows nothing", raw, oauth.InvalidTarget)
}

// form is what present sends; here to see that nothing but the two kinds of tokens is taken.
func TestExchangeTakesATokenAsWhatItIs(t *testing.T) {
	s := newExchange(t, cluster)
	raw := cluster.Token(t, s.account, registrytest.Photos)
	ours := s.exchanged(raw).string("access_token")
	for _, typ := range []string{oauth.TokenTypeAccessToken, "urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:saml2"} {
		s.notExchanged("a ServiceAccount's as "+typ, raw, oauth.InvalidRequest, "subject_token_type", typ)
	}
	before := s.wire.Requests("tokenreviews")
	s.notExchanged("an access token of ours as JWT", ours, oauth.InvalidRequest, "client_id", ordersAPI, "resource", stock, "scope", stockRead)
	if s.wire.Requests("tokenreviews") != before {
		t.Error("kube-apiserver was asked about a token of ours")
	}
	if got := s.present("/revoke", "", "client_id", photosAPI, "client_secret", apiSecret, "client_assertion_type", "", "client_assertion", "", "token", url.QueryEscape("x")); got.status != http.StatusOK {
		t.Errorf("revocation: %d %s", got.status, got.text)
	}
	got := s.present("/revoke", "", "client_id", photosAPI, "client_secret", apiSecret, "client_assertion_type", "", "client_assertion", "", "token", ours)
	if got.string("error") != string(oauth.UnsupportedTokenType) {
		t.Errorf("revocation of what was got: %d %s", got.status, got.text)
	}
}
