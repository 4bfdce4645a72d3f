package grant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// authorizationCode redeems an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 8707 section 2.2).
// Everything that can fail is checked before the one write, so that a code is spent only for tokens.
func (h *Handler) authorizationCode(ctx context.Context, req *request) (*response, error) {
	// 1. The code is one of ours, and still good.
	code, err := openCode(req)
	if err != nil {
		return nil, err
	}
	req.audit = append(req.audit, slog.String("grant", code.ID), slog.String("user", code.User))
	// 2. Who presents it is whom it was made for: client, redirect URI, verifier.
	if err := checkPresenter(req, code); err != nil {
		return nil, err
	}
	// 3. The user is the one who signed in.
	user, err := h.signedIn(req, &signIn{code.User, code.UserUID, code.CredentialVersion, code.SessionID, code.AuthTime, code.IssuedAt})
	if err != nil {
		return nil, err
	}
	// 4. What was granted is still allowed, to this client and this user.
	approved := &approval{code.Scopes, code.Targets, code.UserinfoClaims, code.IDTokenClaims}
	granted, err := approved.stillAllowed(req.client, user)
	if err != nil {
		return nil, err
	}
	// 5. One resource of the code is what the token is for.
	target, err := approved.chooseTarget(req.form["resource"], granted)
	if err != nil {
		return nil, err
	}
	// 6. There are keys; the code is spent, which is the one write; the tokens.
	answer, err := h.issueNew(ctx, req, &basis{
		grantID: code.ID, user: user, authTime: code.AuthTime, sessionID: code.SessionID, granted: granted, identity: granted.Identity,
		target: target, nonce: code.Nonce, keepUntil: code.KeepUntil,
	})
	if errors.Is(err, store.ErrExists) {
		return nil, h.replayed(ctx, req, code.ID)
	}
	return answer, err
}

func openCode(req *request) (*token.Code, error) {
	sealed := req.form.Get("code")
	if sealed == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "code is missing")
	}
	code, err := token.OpenCode(req.iss, sealed)
	switch {
	case errors.Is(err, keys.ErrSeal):
		return nil, errCode().Wrap(err)
	case err != nil:
		return nil, err
	case code.Expired(req.now):
		return nil, errCode().Wrap(errors.New("expired"))
	}
	return code, nil
}

// errCode is told for all that is wrong with a code itself: what exactly is nobody's business.
func errCode() *oauth.Error {
	return oauth.Errorf(oauth.InvalidGrant, "the code is not valid: it is spent, expired, or not of this client")
}

func checkPresenter(req *request, code *token.Code) error {
	switch redirectURI := req.form.Get("redirect_uri"); {
	case code.ClientID != req.client.ID || code.ClientUID != req.client.UID:
		return errCode().Wrap(errors.New("another client's"))
	case redirectURI != code.RedirectURI:
		return oauth.Errorf(oauth.InvalidGrant, "redirect_uri is not the one of the authorization request")
	case !req.client.Registered(redirectURI):
		return oauth.Errorf(oauth.InvalidGrant, "redirect_uri is not registered any more")
	case !verified(req.client, req.form.Get("code_verifier"), code.Challenge):
		return oauth.Errorf(oauth.InvalidGrant, "code_verifier does not match the code_challenge")
	}
	return nil
}

// verified says whether the proof of the one end of PKCE is what the other end asked for. Neither can be argued away: a code with a
// challenge wants its verifier, and one without, which only a client that may do without PKCE has, wants none (RFC 9700 section
// 4.8.2).
func verified(c *registry.Client, verifier, challenge string) bool {
	if challenge == "" {
		return c.ProofKeyOptional && !c.Public && verifier == ""
	}
	return verifierMatches(verifier, challenge)
}

// verifierMatches compares by S256 (RFC 7636 section 4.6).
func verifierMatches(verifier, challenge string) bool {
	if !oauth.WellFormedPKCE(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// replayed refuses a code that passed every check and is spent already. The client presents it again, or a thief: what it
// produced is revoked (RFC 6749 section 4.1.2).
func (h *Handler) replayed(ctx context.Context, req *request, id string) error {
	if err := h.revoke(ctx, req, id, store.ReasonCodeReplayed); err != nil {
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the code was presented before, and its grant could not be revoked").Wrap(err)
	}
	return errCode().Wrap(errors.New("replayed"))
}
