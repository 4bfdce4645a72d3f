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
	return s.reviewed(ctx, s.servers[0].review, *s.known.Load(), true)
}

// reviewed is an error where a review says another thing than is true.
func (s *soak) reviewed(ctx context.Context, address, token string, want bool) error {
	good, err := s.review(ctx, address, token)
	if err == nil && good != want {
		err = fmt.Errorf("a review says %t of a token, instead of %t", good, want)
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
	return s.reviewed(ctx, s.servers[1].review, *s.known.Load()+rand.Text(), false)
}

// revoke ends a flow's grant (RFC 7009).
func (s *site) revoke(ctx context.Context, f *flow) error {
	status, _, err := s.post(ctx, s.issuer+"/revoke", url.Values{"token": {f.newest()}, "client_id": {s.name + ".app"}}, nil)
	return expect("revocation", status, http.StatusOK, err)
}
