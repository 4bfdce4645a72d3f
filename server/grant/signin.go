package grant

import (
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
)

// signIn is the sign-in behind a code, as it is remembered.
type signIn struct {
	user, userUID, credentialVersion, sessionID string
	authTime                                    time.Time
	// usedAt is when the user approved what it is about.
	usedAt time.Time
}

// signedIn is the user who signed in, if that still counts.
func (h *Handler) signedIn(req *request, s *signIn) (*registry.User, error) {
	gone := oauth.Errorf(oauth.InvalidGrant, "the sign-in behind the code does not count any more")
	user, ok := req.iss.User(s.user, s.userUID)
	if !ok || user.CredentialVersion != s.credentialVersion {
		return nil, gone
	}
	switch over, err := h.over(req, user, s.sessionID, s.authTime, s.usedAt); {
	case err != nil:
		return nil, err
	case over:
		return nil, gone
	}
	return user, nil
}

// over says whether what a sign-in at authTime brought the client at issuedAt counts no more: the user has signed out since, of the
// session or everywhere, or it is from before a cut-off. An error means that it is not known.
func (h *Handler) over(req *request, user *registry.User, sessionID string, authTime, issuedAt time.Time) (bool, error) {
	out, err := store.SignedOut(h.SignOuts, req.iss.Name, user.UID, sessionID, authTime)
	if err != nil {
		return false, oauth.Errorf(oauth.TemporarilyUnavailable, "it is not known whether the user has signed out; try again").Wrap(err)
	}
	return out || req.iss.CutOff(nil, user, authTime, req.now) || req.iss.CutOff(req.client, user, issuedAt, req.now), nil
}
