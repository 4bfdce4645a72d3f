// Package authenticator holds the generated AuthenticationConfiguration to kube-apiserver's own code: what validates it, and what
// decides by it about tokens.
package authenticator

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"

	"github.com/latchkey-io/latchkey/controllers/authentication"
	"github.com/latchkey-io/latchkey/server"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/review"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/memory"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	audience      = "https://kubernetes.default.svc.cluster.local"
	otherAudience = "https://kubernetes.default.svc"
	reviewPath    = "/apis/authentication.k8s.io/v1/tokenreviews"
)

// decode reads a configuration as kube-apiserver does, strictly, and validates it.
func decode(t *testing.T, text []byte) *apiserver.AuthenticationConfiguration {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	decoded, err := runtime.Decode(serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder(), text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c, ok := decoded.(*apiserver.AuthenticationConfiguration)
	if !ok {
		t.Fatalf("a %T", decoded)
	}
	if err := validation.ValidateAuthenticationConfiguration(authenticationcel.NewDefaultCompiler(), c, []string{audience}).ToAggregate(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// site is an issuer with Latchkey's listener for kube-apiserver, and kube-apiserver's authenticator of the generated configuration.
type site struct {
	t         *testing.T
	now       time.Time
	iss       *registry.Issuer
	grant     *store.Grant
	holder    *registry.Holder
	reviews   *review.Handler
	at        authentication.At
	verifying oidc.AuthenticatorTokenWithHealthCheck
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Now().Truncate(time.Second), holder: &registry.Holder{}}
	clock := func() time.Time { return s.now }
	s.iss = withKubernetes(t, registrytest.Issuer(t, "https://login.example.com/tenant", s.now))
	s.holder.Store(registry.NewSnapshot([]*registry.Issuer{s.iss}))
	grants := memory.New(clock)
	s.grant = &store.Grant{
		ID: token.NewID(), AuthorizationServer: s.iss.Name, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID,
		User: registrytest.Alice, UserUID: registrytest.AliceUID, ExpiresAt: s.now.Add(time.Hour),
	}
	if err := grants.Create(t.Context(), s.grant, store.NoLimit); err != nil {
		t.Fatal(err)
	}
	s.reviews = &review.Handler{
		Holder: s.holder, Verifier: &token.Verifier{Grants: grants, SignOuts: memory.NewSignOuts(clock), Now: clock}, Logger: slog.New(slog.DiscardHandler),
	}
	listener := httptest.NewTLSServer(server.Review(s.reviews, s.holder, s.reviews.Logger))
	t.Cleanup(listener.Close)
	s.at = authentication.At{
		Address: listener.Listener.Addr().String(),
		Bundle:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listener.Certificate().Raw}),
	}
	s.verifying = s.authenticator(s.at)
	return s
}

// withKubernetes has clients that may have tokens for kube-apiserver.
func withKubernetes(t *testing.T, iss *registry.Issuer) *registry.Issuer {
	t.Helper()
	config := *iss.Config
	config.KubernetesAudiences = []string{audience, otherAudience}
	next := *iss
	next.Config = &config
	changed := &next
	for _, id := range []string{registrytest.PrintShop, registrytest.Nightly} {
		client := registrytest.Client(t, changed, id)
		scopes := []*registry.Scope{{Name: oauth.ScopeKubernetes}}
		client.Access = append(client.Access[:len(client.Access):len(client.Access)], registry.Access{Resource: &registry.Resource{Identifier: audience, Kubernetes: true}, Scopes: scopes})
		changed = registrytest.WithClient(changed, client)
	}
	return changed
}

// authenticator is kube-apiserver's, from the generated configuration, once it has found the keys.
func (s *site) authenticator(at authentication.At) oidc.AuthenticatorTokenWithHealthCheck {
	s.t.Helper()
	text, err := authentication.Configuration([]*registry.Config{s.iss.Config}, at)
	if err != nil {
		s.t.Fatal(err)
	}
	authority, err := dynamiccertificates.NewStaticCAContent("issuer", at.Bundle)
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := oidc.New(s.t.Context(), oidc.Options{
		JWTAuthenticator: decode(s.t, text).JWT[0], CAContentProvider: authority, SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(s.t.Context(), 5*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return a.HealthCheck() == nil, nil })
	if err != nil {
		s.t.Fatalf("%v: %v", err, a.HealthCheck())
	}
	return a
}

// verified is what kube-apiserver says of a token without asking; not authenticated when it takes it for nobody's.
func (s *site) verified(raw string) authenticationv1.TokenReviewStatus {
	s.t.Helper()
	response, ok, err := s.verifying.AuthenticateToken(authenticator.WithAudiences(s.t.Context(), authenticator.Audiences{audience}), raw)
	if err != nil || !ok {
		s.t.Logf("not verified: %v", err)
		return authenticationv1.TokenReviewStatus{}
	}
	user := authenticationv1.UserInfo{Username: response.User.GetName(), UID: response.User.GetUID(), Groups: response.User.GetGroups()}
	for key, values := range response.User.GetExtra() {
		if user.Extra == nil {
			user.Extra = map[string]authenticationv1.ExtraValue{}
		}
		user.Extra[key] = values
	}
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: user}
}

// reviewed is what Latchkey answers to a TokenReview of kube-apiserver's, but for the audiences.
func (s *site) reviewed(raw string) authenticationv1.TokenReviewStatus {
	s.t.Helper()
	ask := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: raw, Audiences: []string{audience, otherAudience}}}
	ask.APIVersion, ask.Kind = "authentication.k8s.io/v1", "TokenReview"
	body, err := json.Marshal(ask)
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, reviewPath, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.TLS = proven()
	w := httptest.NewRecorder()
	s.reviews.ServeHTTP(w, r)
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		s.t.Fatalf("HTTP %d %s, %v", w.Code, w.Body, err)
	}
	answer.Status.Audiences = nil
	return answer.Status
}

// alices is what the print shop gets from Alice for kube-apiserver, named as the token endpoint does.
func (s *site) alices() *token.Access {
	s.t.Helper()
	u, _ := s.iss.User(registrytest.Alice, registrytest.AliceUID)
	return s.named(&token.Access{
		Issuer: s.iss.URL, Subject: u.Subject, ClientID: registrytest.PrintShop, ClientUID: registrytest.PrintShopUID, UserUID: registrytest.AliceUID,
		Audience: []string{audience}, Scopes: []string{oauth.ScopeOpenID, oauth.ScopeKubernetes}, ID: token.NewID(), GrantID: s.grant.ID,
		IssuedAt: s.now, ExpiresAt: s.now.Add(5 * time.Minute), AuthTime: s.now.Add(-time.Minute),
	}, u)
}

// nightlys is what a client gets in its own right.
func (s *site) nightlys() *token.Access {
	s.t.Helper()
	return s.named(&token.Access{
		Issuer: s.iss.URL, Subject: registrytest.Nightly, ClientID: registrytest.Nightly, ClientUID: registrytest.NightlyUID,
		Audience: []string{audience}, Scopes: []string{oauth.ScopeKubernetes}, ID: token.NewID(), IssuedAt: s.now, ExpiresAt: s.now.Add(5 * time.Minute),
	}, nil)
}

func (s *site) named(a *token.Access, u *registry.User) *token.Access {
	s.t.Helper()
	origin, _ := s.iss.Client(a.Origin().ID)
	var err error
	if a.Kubernetes, err = token.NewKubernetesUser(u, nil, origin, a.Actors()); err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) sign(a *token.Access, alg keys.Algorithm) string {
	s.t.Helper()
	raw, err := a.Sign(s.iss.Keys, alg, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	return raw
}

// tampered has another payload under the signature.
func tampered(raw, other string) string {
	parts, others := strings.Split(raw, "."), strings.Split(other, ".")
	return parts[0] + "." + others[1] + "." + parts[2]
}
