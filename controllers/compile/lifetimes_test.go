package compile

import (
	"slices"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

func TestLifetimes(t *testing.T) {
	usual := registry.Lifetimes{
		AuthorizationCode: time.Minute, AccessToken: 10 * time.Minute, IDToken: 10 * time.Minute, Session: 12 * time.Hour,
		RefreshToken: 720 * time.Hour, RefreshTokenIdle: 168 * time.Hour, DeviceCode: 10 * time.Minute,
	}
	with := func(change func(*registry.Lifetimes)) registry.Lifetimes {
		l := usual
		change(&l)
		return l
	}
	for name, tc := range map[string]struct {
		spec string
		want registry.Lifetimes
	}{
		"nothing said": {`{}`, usual},
		"everything said": {`{authorizationCode: 5s, accessToken: 1m, idToken: 2m, session: 1h, refreshToken: 48h, refreshTokenIdle: 24h, deviceCode: 5m}`, registry.Lifetimes{
			AuthorizationCode: 5 * time.Second, AccessToken: time.Minute, IDToken: 2 * time.Minute, Session: time.Hour,
			RefreshToken: 48 * time.Hour, RefreshTokenIdle: 24 * time.Hour, DeviceCode: 5 * time.Minute,
		}},
		"idle is never longer than the whole": {`{refreshToken: 24h}`, with(func(l *registry.Lifetimes) { l.RefreshToken, l.RefreshTokenIdle = 24*time.Hour, 24*time.Hour })},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t)
			config, problems := AuthorizationServer(m, m.addServer(t, "x", `{issuer: "https://x.example.com", lifetimes: `+tc.spec+`}`))
			if config == nil || len(problems) > 0 || config.Lifetimes != tc.want {
				t.Errorf("%v\ngot  %+v\nwant %+v", problems, config.Lifetimes, tc.want)
			}
		})
	}
}

func TestKeysAreKeptForTheLongestThatTheyMade(t *testing.T) {
	for spec, want := range map[string]struct{ signing, sealing time.Duration }{
		`{}`:                             {12 * time.Hour, 12 * time.Hour},
		`{accessToken: 1h, session: 2h}`: {2 * time.Hour, 2 * time.Hour},
		`{idToken: 3h, session: 1h}`:     {3 * time.Hour, time.Hour},
		`{session: 1m}`:                  {10 * time.Minute, 10 * time.Minute},
		`{session: 1m, deviceCode: 1h}`:  {10 * time.Minute, time.Hour},
	} {
		m := newMemory(t)
		s := KeySchedule(m.addServer(t, "x", `{issuer: "https://x.example.com", lifetimes: `+spec+`}`))
		if s.Keep < want.signing || s.Keep > want.signing+10*time.Minute || s.KeepSealing < want.sealing || s.KeepSealing > want.sealing+10*time.Minute {
			t.Errorf("%s: %v and %v", spec, s.Keep, s.KeepSealing)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	for spec, want := range map[string]struct {
		all         []keys.Algorithm
		access, id  keys.Algorithm
		resourceHas keys.Algorithm
	}{
		`[]`:                           {[]keys.Algorithm{keys.ES256, keys.RS256}, keys.ES256, keys.RS256, keys.ES256},
		`[PS256, EdDSA]`:               {[]keys.Algorithm{keys.PS256, keys.EdDSA}, keys.PS256, keys.PS256, keys.EdDSA},
		`[EdDSA, RS256, ES256, PS256]`: {[]keys.Algorithm{keys.EdDSA, keys.RS256, keys.ES256, keys.PS256}, keys.ES256, keys.RS256, keys.PS256},
	} {
		m := newMemory(t)
		config, _ := AuthorizationServer(m, m.addServer(t, "x", `{issuer: "https://x.example.com", signing: {algorithms: `+spec+`}}`))
		if !slices.Equal(config.Algorithms, want.all) || config.AccessTokenAlgorithm != want.access || config.IDTokenAlgorithm != want.id {
			t.Errorf("%s: %v, access %s, ID %s", spec, config.Algorithms, config.AccessTokenAlgorithm, config.IDTokenAlgorithm)
		}
		rs := m.addResource(t, "shop", "orders", `{authorizationServerNames: [x], identifier: "https://orders.shop.svc", accessToken: {signingAlgorithm: `+string(want.resourceHas)+`}}`)
		if resources, p := ResourceServer(m, rs); resources["x"] == nil || resources["x"].Algorithm != want.resourceHas {
			t.Errorf("%s: %v", spec, p)
		}
	}
}

func TestExchangersAreOfTheOwnNamespace(t *testing.T) {
	m := newMemory(t)
	resources, problems := ResourceServer(m, m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc", tokenExchange: {clients: [orders-api, orders-worker]}}`))
	if r := resources["default"]; r == nil || !slices.Equal(r.Exchangers, []string{"shop.orders-api", "shop.orders-worker"}) || len(r.Introspectors) > 0 {
		t.Errorf("%+v %v", r, problems)
	}
}

func TestIntrospectorsAreOfTheOwnNamespace(t *testing.T) {
	m := newMemory(t)
	resources, problems := ResourceServer(m, m.addResource(t, "shop", "orders", `{identifier: "https://orders.shop.svc", introspection: {clients: [gateway, storefront]}}`))
	if r := resources["default"]; r == nil || !slices.Equal(r.Introspectors, []string{"shop.gateway", "shop.storefront"}) {
		t.Errorf("%+v %v", r, problems)
	}
}

// However long the issuer's access tokens live, those for kube-apiserver are short.
func TestTokensForKubernetesAreShort(t *testing.T) {
	for said, want := range map[string]time.Duration{"": 5 * time.Minute, "accessToken: 1h": 5 * time.Minute, "accessToken: 2m": 2 * time.Minute} {
		m := newMemory(t)
		config, problems := AuthorizationServer(m, m.addServer(t, "x", `{issuer: "https://x.example.com", kubernetes: {audiences: [kube]}, lifetimes: {`+said+`}}`))
		if config == nil {
			t.Fatal(problems)
		}
		if got := kubernetesResource(config).Lifetime; got != want {
			t.Errorf("{%s}: %s, want %s", said, got, want)
		}
	}
}

// kube-apiserver can't verify EdDSA.
func TestTokensForKubernetesAreSignedSoThatItCanVerifyThem(t *testing.T) {
	for algorithms, want := range map[string]keys.Algorithm{
		"[ES256, RS256]": keys.ES256, "[EdDSA, ES256]": keys.ES256, "[EdDSA, PS256]": keys.PS256, "[RS256, EdDSA]": keys.RS256, "[EdDSA]": keys.EdDSA,
	} {
		m := newMemory(t)
		config, problems := AuthorizationServer(m, m.addServer(t, "x", `{issuer: "https://x.example.com", kubernetes: {audiences: [kube]}, signing: {algorithms: `+algorithms+`}}`))
		if config == nil {
			t.Fatal(problems)
		}
		if got := kubernetesResource(config).Algorithm; got != want {
			t.Errorf("%s: %s, want %s", algorithms, got, want)
		}
	}
}
