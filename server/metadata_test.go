package server_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/servertest"
	"github.com/latchkey-io/latchkey/server/token"
)

// walk is a server whose print shop may use everything that the metadata offers, and alice, of whom everything is known, in a browser.
type walk struct {
	*site
	path     string
	issuer   string
	metadata map[string]any
	browser  *servertest.Browser
	// own are the keys that the client asserts with.
	own *keys.Set
}

func newWalk(t *testing.T, path string) *walk {
	t.Helper()
	w := &walk{site: newSite(t, "", "/team/a"), path: path}
	w.issuer, w.browser = w.Issuer(path).URL, w.NewBrowser()
	w.own = registrytest.Keys(t, w.Clock.Now())
	p := w.ask(http.MethodGet, path+"/.well-known/openid-configuration", "")
	if err := json.Unmarshal([]byte(p.body), &w.metadata); err != nil {
		t.Fatalf("%s %v", p.body, err)
	}
	w.change(func(c *registry.Client) {
		c.Scopes, c.GrantTypes = w.strings("scopes_supported"), w.strings("grant_types_supported")
	})
	alice := registrytest.User(t, w.Issuer(path), registrytest.Alice)
	alice.Profile = registry.Profile{
		GivenName: "Alice", FamilyName: "Liddell", MiddleName: "Pleasance", Nickname: "Al", ProfileURL: "https://alice.example", PictureURL: "https://alice.example/me",
		Website: "https://blog.example", Gender: "female", Birthdate: "1852-05-04", Zoneinfo: "Europe/London", Locale: "en-GB",
		UpdatedAt: w.Clock.Now(), PhoneNumber: "+441865276150", Address: registry.Address{Locality: "Oxford"},
	}
	w.Publish(registrytest.WithUser(w.Issuer(path), alice))
	return w
}

// change changes the print shop.
func (w *walk) change(change func(*registry.Client)) {
	w.t.Helper()
	c := registrytest.Client(w.t, w.Issuer(w.path), registrytest.PrintShop)
	change(c)
	w.Publish(registrytest.WithClient(w.Issuer(w.path), c))
}

// strings are the values of a member.
func (w *walk) strings(member string) []string {
	w.t.Helper()
	values, ok := w.metadata[member].([]any)
	if !ok || len(values) == 0 {
		w.t.Fatalf("%s is %v", member, w.metadata[member])
	}
	var out []string
	for _, v := range values {
		out = append(out, v.(string))
	}
	return out
}

// ends walks an authorization request to its end, signing in and allowing where that is asked for.
func (w *walk) ends(changes ...string) *servertest.Page {
	w.t.Helper()
	p := w.browser.Authorize(w.path, request(changes...))
	if p.Attr("username", "name") != "" {
		p = w.browser.SignIn(p, registrytest.Alice, registrytest.AlicePassword)
	}
	if p.Attr("allow", "id") != "" {
		p = w.browser.Decide(p, "allow")
	}
	return p
}

// tokens are what the print shop gets at the end.
func (w *walk) tokens(changes ...string) map[string]any {
	w.t.Helper()
	status, tokens := w.redeem(w.issuer, w.ends(changes...).Response(w.t).Get("code"))
	if status != http.StatusOK {
		w.t.Fatalf("%v: %d %v", changes, status, tokens)
	}
	return tokens
}

func parts(t *testing.T, raw string) (header, claims map[string]any) {
	t.Helper()
	segments := strings.Split(raw, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		body, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return header, claims
}

// Every URL in the metadata answers, at an issuer with a path and at one without, and every value that it offers works: the metadata is
// true to the server.
func TestMetadataIsTrue(t *testing.T) {
	for _, path := range []string{"", "/team/a"} {
		t.Run("issuer "+path, func(t *testing.T) {
			for name, check := range map[string]func(*walk){
				"endpoints":              (*walk).checkEndpoints,
				"grant types":            (*walk).checkGrantTypes,
				"client authentication":  (*walk).checkClientAuthentication,
				"ID token algorithms":    (*walk).checkIDTokenAlgorithms,
				"userinfo algorithms":    (*walk).checkUserinfoAlgorithms,
				"introspection":          (*walk).checkIntrospection,
				"scopes and claims":      (*walk).checkScopesAndClaims,
				"claims parameter":       (*walk).checkClaimsParameter,
				"authorization requests": (*walk).checkAuthorizationRequests,
				"subject types":          (*walk).checkSubjectTypes,
				"not supported":          (*walk).checkNotSupported,
			} {
				t.Run(name, func(t *testing.T) { check(newWalk(t, path)) })
			}
		})
	}
}

func (w *walk) checkEndpoints() {
	forms := []string{w.path + "/.well-known/openid-configuration", "/.well-known/openid-configuration" + w.path, "/.well-known/oauth-authorization-server" + w.path}
	for _, form := range forms {
		if p := w.ask(http.MethodGet, form, ""); issuerIn(w.t, p) != w.issuer || p.Header.Get("ETag") == "" || !strings.HasPrefix(p.Header.Get("Cache-Control"), "public") {
			w.t.Errorf("%s: %v %s", form, p.Header, p.body)
		}
	}
	seen := 0
	for name, value := range w.metadata {
		endpoint, ok := value.(string)
		if !ok || name == "issuer" {
			continue
		}
		seen++
		path, ok := strings.CutPrefix(endpoint, w.URL)
		if !ok || !strings.HasPrefix(endpoint, w.issuer+"/") {
			w.t.Errorf("%s is %s, not of the issuer", name, endpoint)
		}
		method := http.MethodGet
		if p := w.ask(method, path, ""); p.StatusCode == http.StatusMethodNotAllowed {
			method = http.MethodPost
		}
		if p := w.ask(method, path, ""); p.StatusCode == http.StatusNotFound || p.StatusCode == http.StatusMethodNotAllowed || p.StatusCode >= 500 {
			w.t.Errorf("%s %s: %s %s", name, endpoint, p.Status, p.body)
		}
	}
	if seen != 8 {
		w.t.Errorf("%d endpoints", seen)
	}
}

func (w *walk) checkGrantTypes() {
	tokens := w.tokens("scope", "openid offline_access photos.read")
	forms := map[string]url.Values{
		"authorization_code": nil, // above
		"refresh_token":      {"refresh_token": {tokens["refresh_token"].(string)}},
		"client_credentials": {"scope": {"photos.read"}},
	}
	for _, grantType := range w.strings("grant_types_supported") {
		form, known := forms[grantType]
		switch {
		case grantType == oauth.GrantDeviceCode:
			w.checkDevice()
		case grantType == oauth.GrantTokenExchange:
			w.checkTokenExchange(tokens["access_token"].(string))
		case !known:
			w.t.Errorf("no test for %s", grantType)
		case form != nil:
			form.Set("grant_type", grantType)
			if status, body := w.token(w.issuer, form); status != http.StatusOK {
				w.t.Errorf("%s: %d %v", grantType, status, body)
			}
		}
	}
	for _, grantType := range []string{"password", "implicit", "urn:openid:params:grant-type:ciba"} {
		if _, body := w.token(w.issuer, url.Values{"grant_type": {grantType}}); body["error"] != "unsupported_grant_type" {
			w.t.Errorf("%s: %v", grantType, body)
		}
	}
}

// checkDevice asks for a device code and polls with it.
func (w *walk) checkDevice() {
	p := w.form(w.metadata["device_authorization_endpoint"].(string), url.Values{"scope": {"photos.read"}}, basic)
	var device map[string]any
	if err := json.Unmarshal([]byte(p.body), &device); err != nil || p.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s", p.Status, p.body)
	}
	form := url.Values{"grant_type": {oauth.GrantDeviceCode}, "device_code": {device["device_code"].(string)}}
	if _, body := w.token(w.issuer, form); body["error"] != "authorization_pending" {
		w.t.Errorf("polling: %v", body)
	}
}

// checkTokenExchange exchanges a token for Photos for one for Orders.
func (w *walk) checkTokenExchange(subject string) {
	iss, _ := w.Holder.Load().ByURL(w.issuer)
	photos, _ := iss.Resources.Get(registrytest.Photos)
	declared := *photos
	declared.Exchangers = []string{registrytest.PrintShop}
	w.Publish(registrytest.WithResource(iss, &declared))
	form := url.Values{
		"grant_type": {oauth.GrantTokenExchange}, "subject_token": {subject}, "subject_token_type": {oauth.TokenTypeAccessToken}, "resource": {registrytest.Orders},
	}
	if status, body := w.token(w.issuer, form); status != http.StatusOK {
		w.t.Errorf("token exchange: %d %v", status, body)
	}
}

// authenticate adds client authentication to a request.
type authenticate func(r *http.Request, form url.Values)

func basic(r *http.Request, _ url.Values) {
	r.SetBasicAuth(registrytest.PrintShop, registrytest.PrintShopSecret)
}

// form posts a form.
func (w *walk) form(endpoint string, form url.Values, as authenticate) reply {
	w.t.Helper()
	form = maps.Clone(form)
	r := w.newRequest(http.MethodPost, endpoint, nil)
	as(r, form)
	signed := w.newRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	signed.Header = r.Header
	signed.Header.Set("Content-Type", oauth.FormMediaType)
	return w.send(signed)
}

func (w *walk) checkClientAuthentication() {
	methods := map[string]authenticate{
		oauth.AuthMethodSecretBasic: basic,
		oauth.AuthMethodSecretPost: func(_ *http.Request, form url.Values) {
			form.Set("client_id", registrytest.PrintShop)
			form.Set("client_secret", registrytest.PrintShopSecret)
		},
		oauth.AuthMethodNone: func(_ *http.Request, form url.Values) { form.Set("client_id", registrytest.Native) },
	}
	for endpoint, of := range map[string]struct {
		url  string
		form url.Values
		good func(reply) bool
	}{
		"token": {w.issuer + "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
			func(p reply) bool { return strings.Contains(p.body, `"invalid_grant"`) }},
		"revocation":    {w.issuer + "/revoke", url.Values{"token": {"x"}}, func(p reply) bool { return p.StatusCode == http.StatusOK }},
		"introspection": {w.issuer + "/introspect", url.Values{"token": {"x"}}, func(p reply) bool { return strings.Contains(p.body, `"active":false`) }},
	} {
		for _, method := range w.strings(endpoint + "_endpoint_auth_methods_supported") {
			switch as := methods[method]; {
			case method == oauth.TokenTypeBearer: // a ServiceAccount's token, which kube-apiserver has to judge
			case method == oauth.AuthMethodPrivateKeyJWT:
				w.change(func(c *registry.Client) { c.Assertion = &registry.Assertion{Keys: w.public()} })
				for _, alg := range w.strings(endpoint + "_endpoint_auth_signing_alg_values_supported") {
					if p := w.form(of.url, of.form, w.assertion(keys.Algorithm(alg))); !of.good(p) {
						w.t.Errorf("%s, %s with %s: %s %s", endpoint, method, alg, p.Status, p.body)
					}
				}
			case as == nil:
				w.t.Errorf("no test for %s", method)
			default:
				w.change(func(c *registry.Client) { c.Assertion = nil })
				if p := w.form(of.url, of.form, as); !of.good(p) {
					w.t.Errorf("%s, %s: %s %s", endpoint, method, p.Status, p.body)
				}
			}
		}
	}
}

func (w *walk) checkIDTokenAlgorithms() {
	for _, alg := range w.strings("id_token_signing_alg_values_supported") {
		w.change(func(c *registry.Client) { c.IDTokenAlgorithm = keys.Algorithm(alg) })
		raw := w.tokens()["id_token"].(string)
		header, _ := parts(w.t, raw)
		if _, err := token.ParseHint(w.Issuer(w.path), raw); err != nil || header["alg"] != alg || !w.published(header) {
			w.t.Errorf("%s: %v, %v", alg, header, err)
		}
	}
}

func (w *walk) checkUserinfoAlgorithms() {
	for _, alg := range w.strings("userinfo_signing_alg_values_supported") {
		w.change(func(c *registry.Client) { c.UserinfoAlgorithm = keys.Algorithm(alg) })
		p := w.userinfo(w.issuer, w.tokens()["access_token"])
		if p.Header.Get("Content-Type") != "application/jwt" {
			w.t.Fatalf("%s: %s %s", alg, p.Status, p.body)
		}
		if header, _ := parts(w.t, p.body); header["alg"] != alg || !w.published(header) {
			w.t.Errorf("%s: %v", alg, header)
		}
	}
}

func (w *walk) checkIntrospection() {
	raw := w.tokens()["access_token"].(string)
	p := w.form(w.metadata["introspection_endpoint"].(string), url.Values{"token": {raw}}, func(r *http.Request, form url.Values) {
		basic(r, form)
		r.Header.Set("Accept", "application/token-introspection+jwt")
	})
	header, claims := parts(w.t, p.body)
	if !slices.Contains(w.strings("introspection_signing_alg_values_supported"), header["alg"].(string)) || !w.published(header) || claims["iss"] != w.issuer {
		w.t.Errorf("%v %v", header, claims)
	}
}

func (w *walk) checkScopesAndClaims() {
	scopes := w.strings("scopes_supported")
	for _, scope := range scopes {
		if got := w.tokens("scope", scope+" openid"); !slices.Contains(oauth.SplitScope(got["scope"].(string)), scope) {
			w.t.Errorf("%s: %v", scope, got["scope"])
		}
	}
	tokens := w.tokens("scope", oauth.JoinScope(scopes))
	_, told := parts(w.t, tokens["id_token"].(string))
	var info map[string]any
	if err := json.Unmarshal([]byte(w.userinfo(w.issuer, tokens["access_token"]).body), &info); err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(told, info)
	offered := w.strings("claims_supported")
	for _, claim := range offered {
		if told[claim] == nil {
			w.t.Errorf("nothing tells %s", claim)
		}
	}
	for claim := range told {
		if !slices.Contains(offered, claim) {
			w.t.Errorf("%s is told and not offered", claim)
		}
	}
}

func (w *walk) checkClaimsParameter() {
	if w.metadata["claims_parameter_supported"] != true {
		w.t.Error("claims_parameter_supported is not true")
	}
	tokens := w.tokens("scope", "openid", "claims", `{"userinfo":{"nickname":{"essential":true}},"id_token":{"locale":null}}`)
	_, id := parts(w.t, tokens["id_token"].(string))
	info := w.userinfo(w.issuer, tokens["access_token"]).body
	if id["locale"] != "en-GB" || id["nickname"] != nil || !strings.Contains(info, `"nickname":"Al"`) || strings.Contains(info, "locale") {
		w.t.Errorf("ID token %v, userinfo %s", id, info)
	}
}

func (w *walk) checkAuthorizationRequests() {
	w.ends("prompt", "consent")
	for _, prompt := range w.strings("prompt_values_supported") {
		if p := w.ends("prompt", prompt); p.Location() != "" && strings.HasPrefix(p.Response(w.t).Get("error"), "invalid") {
			w.t.Errorf("prompt=%s: %s", prompt, p.Location())
		}
	}
	for _, mode := range w.strings("response_modes_supported") {
		p := w.ends("response_mode", mode)
		if query := p.Location() != "" && p.Response(w.t).Get("code") != ""; query == (mode == "form_post") || !query && !strings.Contains(p.Body, `name="code"`) {
			w.t.Errorf("response_mode=%s: %d %s %s", mode, p.Status, p.Location(), p.Body)
		}
	}
	for _, acr := range w.strings("acr_values_supported") {
		if _, id := parts(w.t, w.tokens("acr_values", acr)["id_token"].(string)); id["acr"] != acr {
			w.t.Errorf("acr %s: %v", acr, id["acr"])
		}
	}
	for _, responseType := range w.strings("response_types_supported") {
		if back := w.ends("response_type", responseType).Response(w.t); back.Get("code") == "" || back.Get("iss") != w.issuer {
			w.t.Errorf("response_type=%s: %v", responseType, back)
		}
	}
	if methods := w.strings("code_challenge_methods_supported"); !slices.Equal(methods, []string{"S256"}) {
		w.t.Errorf("code challenge methods %v", methods) // S256 is what all of this file uses
	}
	if w.ends("code_challenge_method", "plain").Response(w.t).Get("error") != "invalid_request" || w.metadata["authorization_response_iss_parameter_supported"] != true {
		w.t.Error("plain is taken, or iss is not offered")
	}
}

func (w *walk) checkSubjectTypes() {
	subjects := map[string]bool{}
	for _, subjectType := range w.strings("subject_types_supported") {
		w.change(func(c *registry.Client) {
			c.Sector = map[string]string{"public": "", "pairwise": "demo/print.example"}[subjectType]
		})
		tokens := w.tokens()
		_, id := parts(w.t, tokens["id_token"].(string))
		_, access := parts(w.t, tokens["access_token"].(string))
		var info map[string]any
		if err := json.Unmarshal([]byte(w.userinfo(w.issuer, tokens["access_token"]).body), &info); err != nil {
			w.t.Fatal(err)
		}
		if id["sub"] != access["sub"] || id["sub"] != info["sub"] || id["sub"] == nil {
			w.t.Errorf("%s: %v, %v, %v", subjectType, id["sub"], access["sub"], info["sub"])
		}
		subjects[id["sub"].(string)] = true
	}
	if len(subjects) != 2 {
		w.t.Errorf("%d subjects for two subject types", len(subjects))
	}
}

func (w *walk) checkNotSupported() {
	for parameter, value := range map[string]string{"request": "e30.e30.", "request_uri": "https://print.example/request"} {
		if w.metadata[parameter+"_parameter_supported"] != false {
			w.t.Errorf("%s_parameter_supported is %v", parameter, w.metadata[parameter+"_parameter_supported"])
		}
		if got := w.ends(parameter, value).Response(w.t).Get("error"); got != parameter+"_not_supported" {
			w.t.Errorf("%s: %s", parameter, got)
		}
	}
}
