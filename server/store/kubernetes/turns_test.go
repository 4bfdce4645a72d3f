package kubernetes

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTurns(t *testing.T) {
	if of := newTurns(); cap(of.taken) != 64 || of.most != 2048 || of.timeout != 10*time.Second {
		t.Errorf("a server has %d calls under way, and %d wait for %v", cap(of.taken), of.most, of.timeout)
	}
	turn := &turns{taken: make(chan struct{}, 1), most: 1, timeout: time.Hour}
	end, err := turn.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		end, err := turn.take(t.Context())
		if err == nil {
			end()
		}
		got <- err
	}()
	for turn.waiting.Load() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nobody waits")
		}
	}
	if _, err := turn.take(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("one too many: %v", err)
	}
	end()
	if err := <-got; err != nil {
		t.Errorf("who waited: %v", err)
	}
}

func TestTurnsThatNeverCome(t *testing.T) {
	turn := &turns{taken: make(chan struct{}), most: 1, timeout: time.Millisecond}
	if _, err := turn.take(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("too late: %v", err)
	}
	turn.timeout = time.Hour
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := turn.take(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("hung up: %v", err)
	}
	if n := turn.waiting.Load(); n != 0 {
		t.Errorf("%d wait still", n)
	}
}
