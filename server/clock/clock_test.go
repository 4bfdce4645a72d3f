package clock

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// machine is one whose clock can be set.
type machine struct {
	began, wall time.Time
	runs        time.Duration
	clock       *Clock
}

// newMachine is one whose clock is ahead of the right time, at which the test begins, by so much.
func newMachine(ahead time.Duration) *machine {
	m := &machine{began: time.Date(2030, 1, 2, 3, 4, 5, 300e6, time.UTC)}
	m.wall = m.began.Add(ahead)
	m.clock = newClock(func() time.Time { return m.wall }, func() time.Duration { return m.runs }, slog.New(slog.DiscardHandler))
	return m
}

// pass lets time pass.
func (m *machine) pass(d time.Duration) { m.runs, m.wall = m.runs+d, m.wall.Add(d) }

// right is the right time.
func (m *machine) right() time.Time { return m.began.Add(m.runs) }

// answer is one of a kube-apiserver whose clock is ahead of the right time by so much, after a while on either way.
func (m *machine) answer(ahead, way time.Duration) {
	sent := m.runs
	m.pass(way)
	date := m.right().Add(ahead).Truncate(time.Second)
	m.pass(way)
	m.clock.observe(date, sent, m.runs)
}

// near fails the test unless the clock is so near to a time.
func (m *machine) near(t *testing.T, want time.Time, within time.Duration) {
	t.Helper()
	if off := m.clock.Now().Sub(want); off.Abs() > within {
		t.Errorf("it is off by %v", off)
	}
}

// A machine whose clock is right, or nearly so, keeps it to the nanosecond.
func TestAClockThatAgreesIsLeftAlone(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Second, -time.Second, 300 * time.Millisecond} {
		m := newMachine(ahead)
		for range 50 {
			m.answer(0, 3*time.Millisecond)
			m.pass(7130 * time.Millisecond)
			if m.near(t, m.wall, 0); m.clock.Offset() != 0 {
				t.Errorf("%v ahead: an offset of %v", ahead, m.clock.Offset())
			}
		}
	}
}

// A machine whose clock is wrong goes by kube-apiserver's from its first answer on, and better the more of them there are.
func TestAClockThatIsWrongIsPutRight(t *testing.T) {
	for _, ahead := range []time.Duration{90 * time.Second, -90 * time.Second, 4 * time.Second, -4 * time.Second, 24 * time.Hour} {
		m := newMachine(ahead)
		m.near(t, m.wall, 0) // which is all that is known
		m.answer(0, 3*time.Millisecond)
		m.near(t, m.right(), 510*time.Millisecond)
		for range 50 {
			m.pass(7130 * time.Millisecond)
			m.answer(0, 3*time.Millisecond)
		}
		m.near(t, m.right(), 100*time.Millisecond)
		if off := (m.clock.Offset() + ahead).Abs(); off > 100*time.Millisecond {
			t.Errorf("%v ahead: an offset of %v", ahead, m.clock.Offset())
		}
	}
}

// An answer that is long under way tells little, and takes nothing away from what is known.
func TestASlowAnswerTellsLittle(t *testing.T) {
	m := newMachine(90 * time.Second)
	m.answer(0, time.Millisecond)
	m.answer(0, 20*time.Second)
	m.near(t, m.right(), 510*time.Millisecond)
}

// A clock that is set while the process runs changes nothing until the next answer, and then only if it is right.
func TestAClockThatIsSet(t *testing.T) {
	m := newMachine(0)
	m.answer(0, time.Millisecond)
	m.wall = m.wall.Add(-90 * time.Second)
	m.pass(time.Second)
	m.near(t, m.right(), 0)
	m.answer(0, time.Millisecond)
	m.near(t, m.right(), 510*time.Millisecond)
	m.wall = m.wall.Add(90 * time.Second)
	m.answer(0, time.Millisecond)
	if m.near(t, m.right(), 0); m.clock.Offset() != 0 {
		t.Errorf("an offset of %v", m.clock.Offset())
	}
}

// kube-apiserver is believed also when it is its clock that is set.
func TestKubeAPIServersClockIsSet(t *testing.T) {
	m := newMachine(0)
	m.answer(0, time.Millisecond)
	m.answer(-90*time.Second, time.Millisecond)
	m.near(t, m.right().Add(-90*time.Second), 510*time.Millisecond)
	m.answer(0, time.Millisecond)
	m.near(t, m.right(), 0)
}

// What is watched is the header Date of whatever kube-apiserver answers; one without it says nothing.
func TestWatch(t *testing.T) {
	date := ""
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		if date != "" {
			w.Header().Set("Date", date)
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer api.Close()
	c := New(slog.New(slog.DiscardHandler))
	watched := &http.Client{Transport: c.Watch(http.DefaultTransport)}
	ask := func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, api.URL, http.NoBody)
		if err != nil {
			return err
		}
		response, err := watched.Do(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	for _, date = range []string{"", "yesterday"} {
		if err := ask(t.Context()); err != nil || c.Offset() != 0 {
			t.Errorf("Date %q: %v, %v", date, c.Offset(), err)
		}
	}
	date = time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if err := ask(t.Context()); err != nil || (c.Offset()-time.Hour).Abs() > time.Minute {
		t.Errorf("%v, %v", c.Offset(), err)
	}
	if off := (time.Until(c.Now()) - time.Hour).Abs(); off > time.Minute {
		t.Errorf("it is off by %v", off)
	}
}

// kube-apiserver is asked at once, and again only when nothing was heard of it.
func TestFollow(t *testing.T) {
	m := newMachine(90 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	err := m.clock.Follow(ctx, func(context.Context) error {
		if asked++; asked == 3 {
			cancel()
		}
		if asked == 2 {
			m.answer(0, time.Millisecond)
			m.pass(askEvery)
		}
		return errors.New("away")
	})
	if err != nil || asked != 3 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	m.near(t, m.right(), 510*time.Millisecond)
}
