package interaction

import (
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// checkHint reads id_token_hint (OpenID Connect Core section 3.1.2.1). It may have expired, but must have been issued to this
// client: with pairwise subjects, another's would name nobody.
func (r *Request) checkHint() *oauth.Error {
	raw := r.params.Get("id_token_hint")
	if raw == "" {
		return nil
	}
	hint, err := token.ParseHint(r.issuer, raw)
	switch {
	case err != nil:
		return oauth.Errorf(oauth.InvalidRequest, "id_token_hint is not an ID token of this issuer").Wrap(err)
	case hint.ClientID != r.Client.ID:
		return oauth.Errorf(oauth.InvalidRequest, "id_token_hint was not issued to the client")
	}
	return r.mean(hint.Subject)
}

// mean notes the subject that the request is about; empty for any. There can be no more than one.
func (r *Request) mean(subject string) *oauth.Error {
	if subject == "" {
		return nil
	}
	if r.Subject != "" && r.Subject != subject {
		return oauth.Errorf(oauth.InvalidRequest, "id_token_hint and claims name different users")
	}
	r.Subject = subject
	return nil
}

// Means says whether the request may be about the user.
func (r *Request) Means(iss *registry.Issuer, u *registry.User) bool {
	return r.Subject == "" || r.Subject == iss.Subject(r.Client, u)
}
