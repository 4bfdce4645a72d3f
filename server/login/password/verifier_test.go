package password

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestVerifier(t *testing.T) {
	v := NewVerifier()
	hash := hashOf(t, "wonderland")
	tests := map[string]struct {
		hash, password string
		want           bool
	}{
		"right":         {hash, "wonderland", true},
		"wrong":         {hash, "looking-glass", false},
		"nobody":        {"", "wonderland", false},
		"nobody, empty": {"", "", false},
		"too long":      {hash, strings.Repeat("x", MaxLength+1), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if ok, err := v.Verify(t.Context(), "alice", test.hash, test.password); err != nil || ok != test.want {
				t.Fatalf("Verify: %v, %v; want %v", ok, err, test.want)
			}
		})
	}
}

func TestVerifierRefusesUnusableHashesAfterTheWork(t *testing.T) {
	v := newVerifier(1)
	var refused *UnusableHashError
	if ok, err := v.Verify(t.Context(), "alice", "wonderland", "wonderland"); ok || !errors.As(err, &refused) {
		t.Fatalf("Verify: %v, %v", ok, err)
	}
	// With no slot free, the work can't be done: had the hash been refused before it, the context would not matter.
	if err := v.slots.Acquire(t.Context(), budget); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, "alice", "wonderland", "wonderland"); !errors.Is(err, context.Canceled) {
		t.Fatalf("Verify: %v; want the context's", err)
	}
}

func TestVerifierTurnsAwayWhatItCanNotBear(t *testing.T) {
	v := newVerifier(1)
	if err := v.slots.Acquire(t.Context(), budget); err != nil { // something dear is running
		t.Fatal(err)
	}
	hash := hashOf(t, "wonderland")
	results := make(chan error, queue+2)
	for range queue + 2 { // one more than may wait or run
		go func() {
			ok, err := v.Verify(t.Context(), "alice", hash, "wonderland")
			if err == nil && !ok {
				err = errors.New("the right password was refused")
			}
			results <- err
		}()
	}
	if err := <-results; !errors.Is(err, ErrTooBusy) {
		t.Fatalf("the first answer: %v; want ErrTooBusy", err)
	}
	v.slots.Release(budget)
	for range queue + 1 {
		if err := <-results; err != nil {
			t.Errorf("one that waited: %v", err)
		}
	}
	if n := v.waiting.Load(); n != 0 {
		t.Errorf("%d still counted", n)
	}
}

func TestVerifierRunsNoMoreThanProcessorsAndMemoryAllow(t *testing.T) {
	for _, processors := range []int{1, 2, 3, 8, 1 << 20} {
		v := newVerifier(processors)
		if n := budget / v.least; n < 1 || v.least*int64(processors) > budget && processors <= budget {
			t.Errorf("%d processors: %d at a time", processors, n)
		}
	}
}

// TestSameWorkForUnknownUsers: an unknown name costs what known users' passwords cost, and one name always the same.
func TestSameWorkForUnknownUsers(t *testing.T) {
	v := newVerifier(2)
	own, err := costOf(hashOf(t, "x"))
	if err != nil {
		t.Fatal(err)
	}
	if d := v.decoys.choose("nobody"); d.cost != own {
		t.Errorf("before any user is known: %+v; want the cost that Hash gives, %+v", d.cost, own)
	}
	if c, err := costOf(firstDecoy().hash); err != nil || c != firstDecoy().cost {
		t.Errorf("the first decoy: %+v, %v", c, err)
	}

	imported := bcryptOf(t, "wonderland") // a site whose users all come from elsewhere
	verify(t, v, "alice", imported)
	if d := v.decoys.choose("nobody"); !d.cost.bcrypt {
		t.Errorf("where all hashes are bcrypt's, an unknown name meets %+v", d.cost)
	}

	verify(t, v, "bob", hashOf(t, "wonderland")) // and one whose users are mixed
	met := map[cost]bool{}
	for _, name := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		first := v.decoys.choose(name)
		if again := v.decoys.choose(name); again != first {
			t.Errorf("%s meets %+v and %+v", name, first.cost, again.cost)
		}
		met[first.cost] = true
	}
	if len(met) != 2 {
		t.Errorf("unknown names meet %d costs; want 2", len(met))
	}
}

// The password of the decoy, which is a real user's, opens nothing for an unknown name.
func TestDecoyIsNobodysPassword(t *testing.T) {
	v := newVerifier(2)
	verify(t, v, "alice", hashOf(t, "wonderland"))
	if ok, err := v.Verify(t.Context(), "nobody", "", "wonderland"); err != nil || ok {
		t.Errorf("Verify: %v, %v", ok, err)
	}
}

func TestDecoysAreBounded(t *testing.T) {
	d := decoys{known: map[cost]bool{}}
	for i := range 2 * maxDecoys {
		d.learn(decoy{cost: cost{time: i % (maxDecoys + 3)}})
	}
	if len(d.list) != 16 {
		t.Errorf("%d decoys", len(d.list))
	}
}

func verify(t *testing.T, v *Verifier, name, hash string) {
	t.Helper()
	if ok, err := v.Verify(t.Context(), name, hash, "wonderland"); err != nil || !ok {
		t.Fatalf("%s: %v, %v", name, ok, err)
	}
}
