package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// insistAs gets a client that has a secret a token for itself.
func (s *site) insistAs(ctx context.Context, name, secret string) (a answer, attempts int, err error) {
	attempts, err = insist(ctx, func() (bool, error) {
		a, err = s.token(ctx, s.issuer, url.Values{"grant_type": {"client_credentials"}}, s.name+"."+name, secret)
		return err != nil || transient(a.status), err
	})
	return a, attempts, errors.Join(err, expect("client_credentials", a.status, http.StatusOK, nil))
}

// machine gets the machine a token.
func (s *soak) machine(ctx context.Context) error {
	a, err := s.token(ctx, s.issuer, url.Values{"grant_type": {"client_credentials"}}, s.name+".machine", machineSecret)
	return expect("client_credentials", a.status, http.StatusOK, err)
}

// reviewKnown asks about a token that was asked about before.
func (s *soak) reviewKnown(ctx context.Context) error {
	good, err := s.review(ctx, s.servers[0].review, *s.known.Load())
	if err == nil && !good {
		err = errors.New("a good token is refused")
	}
	return err
}

// introspect asks about the same token as the machine may (RFC 7662).
func (s *soak) introspect(ctx context.Context) error {
	var a struct {
		Active bool `json:"active"`
	}
	status, _, err := s.post(ctx, s.issuer+"/introspect", url.Values{"token": {*s.known.Load()}}, &a, s.name+".machine", machineSecret)
	if err := expect("introspection", status, http.StatusOK, err); err != nil || a.Active {
		return err
	}
	return errors.New("a good token is not active")
}

// userinfo asks with a token that is for another audience, and is refused (RFC 6750 section 3).
func (s *soak) userinfo(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.issuer+"/userinfo", http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+*s.known.Load())
	status, _, _, err := send(s.client, request)
	return expect("userinfo for another's token", status, http.StatusUnauthorized, err)
}

// stranger presents a secret and a token that are none.
func (s *soak) stranger(ctx context.Context) error {
	a, err := s.token(ctx, s.issuer, url.Values{"grant_type": {"client_credentials"}}, s.name+"."+strings.ToLower(rand.Text()), rand.Text())
	if err := expect("a stranger", a.status, http.StatusUnauthorized, err); err != nil {
		return err
	}
	if good, err := s.review(ctx, s.servers[1].review, *s.known.Load()+rand.Text()); err != nil || good {
		return fmt.Errorf("a forged token is reviewed: %t, %v", good, err)
	}
	return nil
}

// revoke ends a flow's grant (RFC 7009).
func (s *site) revoke(ctx context.Context, f *flow) error {
	status, _, err := s.post(ctx, s.issuer+"/revoke", url.Values{"token": {f.newest()}, "client_id": {s.name + ".app"}}, nil)
	return expect("revocation", status, http.StatusOK, err)
}
