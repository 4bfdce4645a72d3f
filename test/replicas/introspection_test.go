package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/store"
)

// enforced bounds the time from a revocation at one replica to the refusal at another.
const enforced = 5 * time.Second

// declareIntrospector lets Nightly introspect tokens for Photos.
func (s *site) declareIntrospector() {
	s.t.Helper()
	photos, _ := s.iss.Resources.Get(registrytest.Photos)
	declared := *photos
	declared.Introspectors = []string{registrytest.Nightly}
	s.iss = registrytest.WithResource(s.iss, &declared)
	s.holder.Store(registry.NewSnapshot([]*registry.Issuer{s.iss}))
}

// post sends a token to an endpoint of a replica.
func (s *site) post(ctx context.Context, r *replica, path, clientID, secret, raw string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL+path, strings.NewReader(url.Values{"token": {raw}}.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", oauth.FormMediaType)
	request.SetBasicAuth(clientID, secret)
	response, err := r.Client().Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// introspect says whether a replica calls a token active.
func (s *site) introspect(ctx context.Context, r *replica, raw string) (bool, error) {
	status, body, err := s.post(ctx, r, "/introspect", registrytest.Nightly, registrytest.NightlySecret, raw)
	if err != nil {
		return false, err
	}
	var answer struct{ Active *bool }
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK || answer.Active == nil {
		return false, fmt.Errorf("introspection is answered with HTTP %d %s, %w", status, body, err)
	}
	return *answer.Active, nil
}

// What one replica has issued a moment ago is active at the other, whose watch has not told of it yet.
func TestIntrospectionOfWhatWasIssuedAMomentAgo(t *testing.T) {
	s := newSite(t, 2)
	s.declareIntrospector()
	for range 20 {
		_, issued := s.approved()
		if active, err := s.introspect(t.Context(), s.replicas[1], issued.AccessToken); err != nil || !active {
			t.Fatalf("after redemption: %t, %v", active, err)
		}
		refreshed, err := s.refresh(s.replicas[0], issued.RefreshToken)
		if err != nil || refreshed.status != http.StatusOK {
			t.Fatalf("%+v, %v", refreshed, err)
		}
		if active, err := s.introspect(t.Context(), s.replicas[1], refreshed.AccessToken); err != nil || !active {
			t.Fatalf("after refresh: %t, %v", active, err)
		}
	}
}

// A token that a client hands back to one replica ends at all of them, and no refresh brings it back.
func TestRevocationAtOneReplicaEndsTokensAtAll(t *testing.T) {
	s := newSite(t, 2)
	s.declareIntrospector()
	id, issued := s.approved()
	for _, r := range s.replicas {
		if active, err := s.introspect(t.Context(), r, issued.AccessToken); err != nil || !active {
			t.Fatalf("before: %t, %v", active, err)
		}
	}
	if status, body, err := s.post(t.Context(), s.replicas[0], "/revoke", registrytest.PrintShop, registrytest.PrintShopSecret, issued.RefreshToken); err != nil || status != http.StatusOK {
		t.Fatalf("revocation is answered with HTTP %d %s, %v", status, body, err)
	}
	begin := time.Now()
	if active, err := s.introspect(t.Context(), s.replicas[0], issued.AccessToken); err != nil || active {
		t.Errorf("at the same replica, at once: %t, %v", active, err)
	}
	for i, r := range s.replicas {
		err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, enforced, true, func(ctx context.Context) (bool, error) {
			active, err := s.introspect(ctx, r, issued.AccessToken)
			return !active, err
		})
		if err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
		if answer, err := s.refresh(r, issued.RefreshToken); err != nil || answer.Error != "invalid_grant" {
			t.Errorf("replica %d refreshes: %+v, %v", i, answer, err)
		}
	}
	t.Logf("every replica refused it %v after the revocation", time.Since(begin))
	if o := s.object(id); o.Status.RevokedReason != store.ReasonRevokedByClient {
		t.Errorf("status %+v", o.Status)
	}
}

// Introspection asks kube-apiserver to write nothing.
func TestIntrospectionWritesNothing(t *testing.T) {
	s := newSite(t, 1)
	s.declareIntrospector()
	_, issued := s.approved()
	s.replicas[0].writes.Store(0)
	for range 50 {
		if active, err := s.introspect(t.Context(), s.replicas[0], issued.AccessToken); err != nil || !active {
			t.Fatalf("%t, %v", active, err)
		}
	}
	if n := s.replicas[0].writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
}
