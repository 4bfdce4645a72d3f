package loglimit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// lines keeps what is written, and counts what is left out.
type lines struct {
	*slog.Logger
	handler *Handler
	text    strings.Builder
	leftOut int
	now     time.Time
}

func newLines() *lines {
	l := &lines{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	l.handler = New(slog.NewTextHandler(&l.text, nil), func() time.Time { return l.now }, func() { l.leftOut++ })
	l.Logger = slog.New(l.handler)
	return l
}

func (l *lines) written(of string) int { return strings.Count(l.text.String(), of) }

func (l *lines) tell(t *testing.T) {
	t.Helper()
	if err := l.handler.Tell(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Row: anonymous flood: what strangers cause is bounded, and counted.
func TestWhatStrangersCauseIsBounded(t *testing.T) {
	for name, attrs := range map[string][]any{
		"token_refused":         {"event", "token_refused"},
		"of a public client":    {"event", "token_refused", "client_auth", "none"},
		"device_refused":        {"event", "device_refused"},
		"introspection_refused": {"event", "introspection_refused"},
		"revocation_refused":    {"event", "revocation_refused"},
		"code_refused":          {"event", "code_refused"},
		"device_code":           {"event", "device_code", "result", "not valid"},
		"a wrong password":      {"event", "sign_in", "result", "failed", "user", "alice"},
		"sign_out refused":      {"event", "sign_out", "result", "refused"},
	} {
		l := newLines()
		for range 10_000 {
			l.Info("audit", append(attrs, "source", "192.0.2.1")...)
		}
		if n := l.written("audit"); n != ofNetwork().Burst || l.leftOut != 10_000-n {
			t.Errorf("%s: %d are written, %d left out", name, n, l.leftOut)
		}
		l.tell(t)
		if !strings.Contains(l.text.String(), fmt.Sprintf("lines=%d", l.leftOut)) {
			t.Errorf("%s: it is not told how many were left out: %s", name, l.text.String()[l.text.Len()-200:])
		}
	}
}

// What somebody did who has proven who he is is written, however often; and so is what this package knows nothing of.
func TestWhatIsProvenIsAlwaysWritten(t *testing.T) {
	for name, attrs := range map[string][]any{
		"token_issued":                {"event", "token_issued"},
		"a proven client's refusal":   {"event", "token_refused", "client_auth", "client_secret_basic"},
		"a user's refusal":            {"event", "code_refused", "user", "alice"},
		"a user's wrong code":         {"event", "device_code", "result", "not valid", "user", "alice"},
		"sign_in":                     {"event", "sign_in", "result", "ok", "user", "alice"},
		"consent":                     {"event", "consent"},
		"grant_revoked":               {"event", "grant_revoked"},
		"a sign-out that failed":      {"event", "sign_out", "result", "failed", "user", "alice"},
		"a client that was not told":  {"event", "logout_notified", "result", "failed"},
		"an event of another release": {"event", "something_new", "result", "failed"},
	} {
		l := newLines()
		for range 5000 {
			l.Info("audit", append(attrs, "source", "192.0.2.1")...)
		}
		if n := l.written("audit"); n != 5000 {
			t.Errorf("%s: %d of 5000 are written", name, n)
		}
	}
}

// One network's flood does not hide another's lines, all networks together are bounded too, and after a while there is room again.
func TestNetworksAreBoundedApartAndTogether(t *testing.T) {
	l := newLines()
	refused := func(source string) { l.Info("audit", "event", "token_refused", "source", source) }
	for range 1000 {
		refused("192.0.2.1")
	}
	refused("192.0.2.2")
	if l.written("192.0.2.2") != 1 {
		t.Error("another network's line is left out")
	}
	for i := range 100_000 {
		refused(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	if n := l.written("audit"); n != ofAll().Burst {
		t.Errorf("%d lines are written of all networks", n)
	}
	l.now = l.now.Add(time.Minute)
	refused("192.0.2.3")
	if l.written("192.0.2.3") != 1 {
		t.Error("there is no room again after a minute")
	}
}

// Messages that requests can cause are bounded one by one, also through loggers that were given attributes.
func TestMessagesAreBounded(t *testing.T) {
	l := newLines()
	for range 1000 {
		l.With("listener", "https").WithGroup("more").Error("a request failed")
	}
	l.Error("something else")
	if n := l.written("a request failed"); n != ofNetwork().Burst || l.written("something else") != 1 {
		t.Errorf("%d and %d", n, l.written("something else"))
	}
}

// Row: anonymous flood: of kinds that are left out, no more than there is room for are told one by one, and no line is told of nowhere.
func TestKindsAreBounded(t *testing.T) {
	l := newLines()
	for kind := range 2 * maxKinds {
		for range ofNetwork().Burst + 1 {
			l.Error(fmt.Sprint("message ", kind))
		}
	}
	l.tell(t)
	if n := l.written("lines were left out"); n != maxKinds+1 {
		t.Errorf("%d kinds are told of", n)
	}
	if want := fmt.Sprintf("of=other lines=%d", l.leftOut-maxKinds); !strings.Contains(l.text.String(), want) {
		t.Errorf("it is not told that %s", want)
	}
}

// For those who look closely everything is written.
func TestDebugIsNotBounded(t *testing.T) {
	var text strings.Builder
	logger := slog.New(New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}), time.Now, func() { t.Error("a line is left out") }))
	for range 1000 {
		logger.Debug("request failed")
	}
	if n := strings.Count(text.String(), "request failed"); n != 1000 {
		t.Errorf("%d are written", n)
	}
}

// When the process ends, the last counts are told.
func TestTheLastCountsAreTold(t *testing.T) {
	l := newLines()
	for range 100 {
		l.Info("again and again")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.handler.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if l.written("lines=40") != 1 {
		t.Error(l.text.String())
	}
}
