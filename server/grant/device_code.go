package grant

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// redeemWithin is how long an approved device code can be redeemed: no longer than every store remembers that the grant it
	// led to was deleted, so that it works once whatever becomes of that. Clients ask every few seconds.
	redeemWithin = 2 * time.Minute
	// earlyBy is how much sooner than after the interval a client may come: the network delays one request more than the other.
	earlyBy = 500 * time.Millisecond
	// maxPolls bounds the memory of who asked when. The device that was not heard of for longest makes room.
	maxPolls = 1 << 14
)

// deviceCode redeems a device code (RFC 8628 section 3.4) once a user has approved what the device asks for. Until then it
// answers how things stand, and writes nothing.
func (h *Handler) deviceCode(ctx context.Context, req *request) (*response, error) {
	// 1. The code is one of ours, of this client, and still good.
	code, err := openDeviceCode(req)
	if err != nil {
		return nil, err
	}
	req.audit = append(req.audit, slog.String("grant", code.ID))
	// 2. The user has approved.
	decision, err := h.approvedDevice(ctx, req, code)
	if err != nil {
		return nil, err
	}
	req.audit = append(req.audit, slog.String("user", decision.User))
	// 3. The user is the one who approved it.
	user, err := h.signedIn(req, &signIn{
		decision.User, decision.UserUID, decision.CredentialVersion, decision.SessionID, decision.AuthTime, decision.At,
	})
	if err != nil {
		return nil, err
	}
	// 4. What was approved is still allowed, to this client and this user.
	approved := &approval{scopes: decision.Scopes, targets: decision.Targets}
	granted, err := approved.stillAllowed(req.client, user)
	if err != nil {
		return nil, err
	}
	// 5. One resource is what the token is for.
	target, err := approved.chooseTarget(req.form["resource"], granted)
	if err != nil {
		return nil, err
	}
	// 6. There are keys; the code is spent; the tokens.
	answer, err := h.issueNew(ctx, req, &basis{
		grantID: code.ID, user: user, authTime: decision.AuthTime, sessionID: decision.SessionID,
		granted: granted, identity: granted.Identity, target: target, keepUntil: decision.AuthTime.Add(req.iss.Lifetimes.Session),
	})
	if errors.Is(err, store.ErrExists) {
		return nil, h.replayed(ctx, req, code.ID)
	}
	return answer, err
}

func openDeviceCode(req *request) (*token.DeviceCode, error) {
	sealed := req.form.Get("device_code")
	if sealed == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "device_code is missing")
	}
	code, err := token.OpenDeviceCode(req.iss, sealed)
	switch {
	case errors.Is(err, keys.ErrSeal):
		return nil, errCode().Wrap(err)
	case err != nil:
		return nil, err
	case code.ClientID != req.client.ID || code.ClientUID != req.client.UID:
		return nil, errCode().Wrap(errors.New("another client's"))
	case code.Expired(req.now):
		return nil, errDeviceExpired()
	}
	return code, nil
}

func errDeviceExpired() *oauth.Error {
	return oauth.Errorf(oauth.ExpiredToken, "the device code has expired; start again")
}

// approvedDevice is the user's approval, or an error that says how things stand (RFC 8628 section 3.5). A device authorization that is
// gone was deleted, which denies it.
func (h *Handler) approvedDevice(ctx context.Context, req *request, code *token.DeviceCode) (*store.Decision, error) {
	d, err := h.Devices.Get(ctx, code.Name)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && d.ID != code.ID:
		return nil, oauth.Errorf(oauth.AccessDenied, "the request of the device was withdrawn")
	case err != nil:
		return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "it could not be seen what the user decided; try again").Wrap(err)
	case d.Decision == nil && !h.polls.inTime(code.ID, req.now):
		return nil, oauth.Errorf(oauth.SlowDown, "the user has not decided yet; wait 5 seconds more between two requests")
	case d.Decision == nil:
		return nil, oauth.Errorf(oauth.AuthorizationPending, "the user has not decided yet")
	case !d.Decision.Approved:
		return nil, oauth.Errorf(oauth.AccessDenied, "the user denied the request")
	case !req.now.Before(d.Decision.At.Add(redeemWithin)):
		return nil, h.tooLate(ctx, req, code)
	}
	return d.Decision, nil
}

// tooLate tells a code that nobody redeemed in time from one that is presented again.
func (h *Handler) tooLate(ctx context.Context, req *request, code *token.DeviceCode) error {
	switch _, err := h.Grants.Get(ctx, code.ID); {
	case errors.Is(err, store.ErrNotFound):
		return errDeviceExpired()
	case err != nil:
		return oauth.Errorf(oauth.TemporarilyUnavailable, "the grant could not be read; try again").Wrap(err)
	}
	return h.replayed(ctx, req, code.ID)
}

// polls remembers when devices asked last, and how long they have to wait. It is kept by each replica for itself: what matters is the load on
// it.
type polls struct {
	mu   sync.Mutex
	byID *simplelru.LRU[string, poll]
}

type poll struct {
	last     time.Time
	interval time.Duration
}

func newPolls() *polls {
	byID, err := simplelru.NewLRU[string, poll](maxPolls, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &polls{byID: byID}
}

// inTime counts a request, and says whether it comes as long after the last as it has to. One that does not makes the interval
// 5 seconds longer, for all that follow (RFC 8628 section 3.5).
func (p *polls) inTime(id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.byID.Get(id)
	if !known {
		p.byID.Add(id, poll{now, token.DeviceInterval})
		return true
	}
	ok := now.Sub(before.last) >= before.interval-earlyBy
	if !ok {
		before.interval += token.DeviceInterval
	}
	p.byID.Add(id, poll{now, before.interval})
	return ok
}
