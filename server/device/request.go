package device

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/server/clientauth"
	"github.com/latchkey-io/latchkey/server/interaction"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// maxPending is how many requests of one client may wait for a user.
	maxPending = 100
	// pendingRetry is when to come back while as many wait: some expire all the time.
	pendingRetry = 30 * time.Second
	// collisions is how often another user code is made when one is taken. Of 25 billion codes, one hardly ever is.
	collisions = 5
)

// RequestConfig is what a RequestHandler needs. All of it is required.
type RequestConfig struct {
	Devices store.Devices
	Clients *clientauth.Authenticator
	Now     func() time.Time
	// Logger takes the audit events device_requested and device_refused.
	Logger *slog.Logger
	// Source says where a request comes from.
	Source func(*http.Request) netip.Addr
}

// RequestHandler serves /device_authorization (RFC 8628 section 3.1).
type RequestHandler struct {
	RequestConfig
	sources *sources
	quota   quota
}

// NewRequestHandler makes a RequestHandler.
func NewRequestHandler(c RequestConfig) *RequestHandler {
	return &RequestHandler{RequestConfig: c, sources: newSources()}
}

// response is RFC 8628 section 3.2.
type response struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"`
	Interval                int64  `json:"interval"`
}

// Serve answers a device authorization request. Its errors are for oauth.WriteError. Nothing is written but for a declared client
// that has proven itself, and that has not too many requests waiting.
func (h *RequestHandler) Serve(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	now, source := h.Now(), h.Source(r)
	client, answer, err := h.answer(w, r, iss, source, now)
	attrs := []slog.Attr{slog.String("event", "device_requested"), slog.String("issuer", iss.URL), slog.String("source", source.String())}
	if client != nil {
		attrs = append(attrs, slog.String("client_id", client.ID))
	}
	if err != nil {
		e := oauth.AsError(err)
		attrs[0] = slog.String("event", "device_refused")
		attrs = append(attrs, slog.String("error", string(e.Code)), slog.String("reason", e.Error()))
	}
	h.Logger.LogAttrs(r.Context(), slog.LevelInfo, "audit", attrs...)
	if err != nil {
		return err
	}
	return oauth.WriteJSON(w, http.StatusOK, answer)
}

func (h *RequestHandler) answer(w http.ResponseWriter, r *http.Request, iss *registry.Issuer, source netip.Addr, now time.Time) (*registry.Client, *response, error) {
	form, err := oauth.ParseForm(r)
	if err != nil {
		return nil, nil, err
	}
	caller, err := h.Clients.Authenticate(r, form, iss, now)
	if err != nil {
		return nil, nil, err
	}
	client := caller.Client
	ask, err := resolve(client, form)
	if err != nil {
		return client, nil, err
	}
	// A public client proves nothing: whoever knows its client_id could use up what it may ask for.
	if client.Public {
		if retry, ok := h.sources.allow(client.UID, source, now); !ok {
			return client, nil, oauth.Wait(retry)
		}
	}
	release, err := h.quota.acquire(client.UID, func() (int, error) { return h.Devices.Pending(r.Context(), client.UID, now) })
	switch {
	case errors.Is(err, errQuota):
		oauth.SetRetryAfter(w.Header(), pendingRetry)
		return client, nil, oauth.Errorf(oauth.TemporarilyUnavailable, "too many requests of the client wait for a user; try again later")
	case err != nil:
		return client, nil, oauth.Errorf(oauth.TemporarilyUnavailable, "it could not be seen how many requests of the client wait; try again").Wrap(err)
	}
	defer release()
	answer, err := h.create(r.Context(), iss, client, ask, source, now)
	return client, answer, err
}

// resolve is what the client asks for, if it may use the grant type.
func resolve(client *registry.Client, form url.Values) (*registry.Ask, error) {
	if !slices.Contains(client.GrantTypes, oauth.GrantDeviceCode) {
		return nil, oauth.Errorf(oauth.UnauthorizedClient, "the client does not declare the grant type %s", oauth.GrantDeviceCode)
	}
	scope := form.Get("scope")
	if !oauth.WellFormedScope(scope) {
		return nil, oauth.Errorf(oauth.InvalidScope, "scope is not well-formed")
	}
	ask, err := registry.Resolve(client, oauth.SplitScope(scope), form["resource"])
	if err != nil {
		return nil, err
	}
	return ask, nil
}

// create writes the request down under a user code that nobody has, and hands out both codes.
func (h *RequestHandler) create(ctx context.Context, iss *registry.Issuer, client *registry.Client, ask *registry.Ask, source netip.Addr, now time.Time) (*response, error) {
	d := &store.Device{
		ID: token.NewID(), AuthorizationServer: iss.Name, ClientID: client.ID, ClientUID: client.UID,
		Scopes: ask.Identity, Targets: token.Targets(ask),
		ExpiresAt: now.Add(time.Second - 1).UTC().Truncate(time.Second).Add(iss.Lifetimes.DeviceCode), // no sooner than the client is told
	}
	if source.IsValid() {
		d.Source = source.WithZone("").String()
	}
	var (
		userCode string
		err      error
	)
	for range collisions {
		userCode = newUserCode()
		d.Name = iss.Keys.UserCodeID(userCode)
		if err = h.Devices.Create(ctx, d); !errors.Is(err, store.ErrExists) {
			break
		}
	}
	if err != nil {
		return nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the request could not be stored; try again").Wrap(err)
	}
	code := token.DeviceCode{Name: d.Name, ID: d.ID, ClientID: client.ID, ClientUID: client.UID, ExpiresAt: d.ExpiresAt}
	sealed, err := code.Seal(iss, now)
	if err != nil {
		return nil, err
	}
	page := iss.Endpoint(interaction.DevicePath)
	return &response{
		DeviceCode: sealed, UserCode: shown(userCode), VerificationURI: page,
		VerificationURIComplete: page + "?" + url.Values{interaction.UserCodeParameter: {shown(userCode)}}.Encode(),
		ExpiresIn:               int64(d.ExpiresAt.Sub(now) / time.Second), Interval: int64(token.DeviceInterval / time.Second),
	}, nil
}
