package logout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// deliveryTimeout bounds one attempt.
	deliveryTimeout = 5 * time.Second
	// retryDelay is the pause before the second attempt, which is the last.
	retryDelay = 2 * time.Second
	// maxPending bounds the notices that are not delivered yet, maxDeliveries those under way.
	maxPending, maxDeliveries = 2000, 64
	// ofOne is the part of both that one namespace may have.
	ofOne = 4
)

// NotifierConfig is what a Notifier needs.
type NotifierConfig struct {
	// Outbound calls the clients' URLs.
	Outbound *http.Client
	Now      func() time.Time
	// Logger takes the audit event logout_notified.
	Logger *slog.Logger
	// RetryDelay is the pause before the second attempt; two seconds when zero.
	RetryDelay time.Duration
	// MaxPending is how many notices may wait or be under way; 2000 when zero.
	MaxPending int
}

// Notifier tells clients in the background that a session is over (OpenID Connect Back-Channel Logout section 2.5): each of them
// once, or with a second attempt when the first one gets no answer. What it can't deliver is audited and not kept: clients have
// other means to find out, the lifetime of their own sessions at last.
type Notifier struct {
	NotifierConfig
	pending, deliveries chan struct{}
	shares              *shares
	running             sync.WaitGroup
	// hurry is closed when the process is about to end: then nobody pauses.
	hurry     chan struct{}
	closeOnce sync.Once
}

// NewNotifier makes a Notifier.
func NewNotifier(c NotifierConfig) *Notifier {
	if c.RetryDelay == 0 {
		c.RetryDelay = retryDelay
	}
	if c.MaxPending == 0 {
		c.MaxPending = maxPending
	}
	return &Notifier{
		NotifierConfig: c,
		pending:        make(chan struct{}, c.MaxPending), deliveries: make(chan struct{}, maxDeliveries), hurry: make(chan struct{}),
		shares: &shares{pending: max(c.MaxPending/ofOne, 1), deliveries: maxDeliveries / ofOne, held: map[string]*share{}},
	}
}

// Notice is what one client is told: the session is over.
type Notice struct {
	Issuer    *registry.Issuer
	Client    *registry.Client
	User      *registry.User
	SessionID string
}

// Notify has the notice delivered, and does not wait for it. One too many is dropped, and audited.
func (n *Notifier) Notify(ctx context.Context, notice Notice) {
	ctx = context.WithoutCancel(ctx)
	own, ok := n.shares.enter(notice.Client.Namespace)
	if !ok {
		n.audit(ctx, notice, errors.New("too many of its namespace are waiting"))
		return
	}
	select {
	case n.pending <- struct{}{}:
	default:
		n.shares.leave(notice.Client.Namespace)
		n.audit(ctx, notice, errors.New("too many are waiting"))
		return
	}
	n.running.Go(func() {
		defer func() { <-n.pending }()
		defer n.shares.leave(notice.Client.Namespace)
		n.audit(ctx, notice, n.deliver(ctx, notice, own))
	})
}

// Drain waits until everything is delivered or given up, or the context ends, which is an error then. Call it when nobody calls Notify
// any more.
func (n *Notifier) Drain(ctx context.Context) error {
	n.closeOnce.Do(func() { close(n.hurry) })
	done := make(chan struct{})
	go func() {
		n.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("logout: clients were still to be told: %w", ctx.Err())
	}
}

// errRefused is in the chain for a client that answered, and does not want to hear it again.
var errRefused = errors.New("the client refused it")

func (n *Notifier) deliver(ctx context.Context, notice Notice, own *share) error {
	err := n.attempt(ctx, notice, own)
	if err == nil || errors.Is(err, errRefused) {
		return err
	}
	select {
	case <-time.After(n.RetryDelay):
	case <-n.hurry:
	}
	return n.attempt(ctx, notice, own)
}

// attempt posts a logout token, made anew: one that was received and not answered would be a replay.
func (n *Notifier) attempt(ctx context.Context, notice Notice, own *share) error {
	own.slots <- struct{}{}
	defer func() { <-own.slots }()
	n.deliveries <- struct{}{}
	defer func() { <-n.deliveries }()
	logout := token.Logout{
		Issuer: notice.Issuer.URL, Subject: notice.Issuer.Subject(notice.Client, notice.User), ClientID: notice.Client.ID,
		SessionID: notice.Issuer.SessionID(notice.Client, notice.SessionID), ID: token.NewID(),
	}
	signed, err := logout.Sign(notice.Issuer.Keys, notice.Client.IDTokenAlgorithm, n.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	body := strings.NewReader(url.Values{"logout_token": {signed}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, notice.Client.BackChannelLogoutURI, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", oauth.FormMediaType)
	return n.send(r)
}

// send sends the request and judges the answer.
func (n *Notifier) send(r *http.Request) error {
	res, err := n.Outbound.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // what it says is of no interest
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return nil
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("the client answers %d", res.StatusCode)
	}
	return fmt.Errorf("%w: it answers %d", errRefused, res.StatusCode)
}

func (n *Notifier) audit(ctx context.Context, notice Notice, err error) {
	attrs := []slog.Attr{
		slog.String("event", "logout_notified"), slog.String("issuer", notice.Issuer.URL),
		slog.String("client_id", notice.Client.ID), slog.String("user", notice.User.Name),
	}
	if err != nil {
		n.Logger.LogAttrs(ctx, slog.LevelWarn, "audit", append(attrs, slog.String("result", "failed"), slog.String("reason", err.Error()))...)
		return
	}
	n.Logger.LogAttrs(ctx, slog.LevelInfo, "audit", append(attrs, slog.String("result", "success"))...)
}
