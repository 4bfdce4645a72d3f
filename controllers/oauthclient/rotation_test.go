package oauthclient

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

// wheel turns a chain as the reconciler would, with digests that are published a second after they are stored.
type wheel struct {
	policy
	chain
	now         time.Time
	publishedAt time.Time
	minted      int
}

func newWheel() *wheel {
	w := &wheel{policy: policy{overlap: time.Hour}, now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	w.current = w.mint()
	return w
}

func (w *wheel) mint() secretValue {
	w.minted++
	return secretValue{value: newClientSecret(), id: fmt.Sprint("id-", w.minted), createdAt: w.now}
}

// turn is one reconciliation, so much later.
func (w *wheel) turn(later time.Duration) *rotation {
	w.now = w.now.Add(later)
	r := &rotation{policy: w.policy, chain: w.chain, now: w.now, publishedAt: w.publishedAt, mint: w.mint}
	r.run()
	switch {
	case r.next == nil:
		w.publishedAt = time.Time{}
	case w.next == nil || w.next.id != r.next.id:
		w.publishedAt = w.now.Add(time.Second)
	}
	w.chain = r.chain
	return r
}

// text is the chain in short: the current, >next, and -previous ids.
func (w *wheel) text() string {
	out := w.current.id
	if w.next != nil {
		out += " >" + w.next.id
	}
	for _, s := range w.previous {
		out += " -" + s.id
	}
	return out
}

func (w *wheel) is(t *testing.T, why, want string) {
	t.Helper()
	if got := strings.ReplaceAll(w.text(), "id-", ""); got != want {
		t.Errorf("%s: %q, want %q", why, got, want)
	}
}

func TestSuccessorIsHandedOutOnlyWhenItWasPublishedLongEnough(t *testing.T) {
	w := newWheel()
	w.request = "a"
	w.turn(0)
	w.is(t, "asked for", "1 >2")
	w.turn(publishAhead)
	w.is(t, "published for not quite long enough", "1 >2")
	w.publishedAt = time.Time{}
	w.turn(time.Hour)
	w.is(t, "not seen in status by a controller that has started", "1 >2")
	w.publishedAt = w.now
	again := w.turn(0).again()
	if !again.Equal(w.publishedAt.Add(publishAhead)) {
		t.Errorf("looks again at %v", again)
	}
	if w.handled != "" {
		t.Error("handled before it was handed out")
	}
	r := w.turn(publishAhead)
	w.is(t, "published long enough", "2 -1")
	if want := w.now.Add(time.Hour + time.Second).Truncate(time.Second); !w.previous[0].expiresAt.Equal(want) || !r.again().Equal(want) || w.handled != "a" {
		t.Errorf("%+v, again %v", w.chain, r.again())
	}
	w.turn(time.Hour)
	w.is(t, "until the overlap is over", "2 -1")
	w.turn(time.Second)
	w.is(t, "after the overlap", "2")
}

func TestRequestIsHandledOnce(t *testing.T) {
	w := newWheel()
	for _, request := range []string{"a", "a", "b", "", "b"} {
		w.request = request
		for range 4 {
			w.turn(publishAhead)
		}
	}
	w.is(t, "two values", "3 -2 -1")
}

func TestRequestThatComesDuringARotationIsHandledAfterIt(t *testing.T) {
	w := newWheel()
	w.request = "a"
	w.turn(0)
	w.request = "b"
	w.turn(publishAhead + time.Second)
	w.is(t, "the first", "2 >3 -1")
	if w.handled != "a" {
		t.Errorf("handled %q", w.handled)
	}
}

func TestIntervalRotatesByItself(t *testing.T) {
	w := newWheel()
	w.interval, w.overlap = 24*time.Hour, time.Hour
	begin := w.now
	for range 30 {
		r := w.turn(0)
		if next := r.again(); next.IsZero() {
			w.publishedAt = w.publishedAt.Add(-time.Second) // seen at once
			w.turn(0)
		} else if w.now = next; !next.After(begin) {
			t.Fatalf("looks again at %v", next)
		}
		if len(w.valid()) > 3 {
			t.Fatalf("too many: %s", w.text())
		}
	}
	if days := w.now.Sub(begin).Hours() / 24; float64(w.minted) < days || float64(w.minted) > days+2 {
		t.Errorf("%d secrets in %v days", w.minted, days)
	}
}

func TestRotationWaitsWhileEveryPlaceIsTaken(t *testing.T) {
	w := newWheel()
	for i := range maxPrevious + 3 {
		w.request = fmt.Sprint(i)
		w.turn(0)
		w.turn(publishAhead + time.Second)
	}
	w.is(t, "no room", "7 -6 -5 -4 -3 -2 -1")
	r := w.turn(0)
	if !r.full || !strings.Contains(r.message(), "waits until") || !r.again().Equal(w.previous[maxPrevious-1].expiresAt) {
		t.Errorf("%q, again %v", r.message(), r.again())
	}
	w.revoked = []v1alpha1.ClientSecretID{"id-4"}
	w.turn(0)
	w.is(t, "a place has become free", "7 >8 -6 -5 -3 -2 -1")
	if len(w.valid()) > 8 {
		t.Error("more than status.secrets takes")
	}
}

func TestRevoked(t *testing.T) {
	rotated := func() *wheel {
		w := newWheel()
		w.request = "a"
		w.turn(0)
		w.turn(publishAhead + time.Second)
		w.request = "b"
		w.turn(0)
		w.is(t, "in the middle", "2 >3 -1")
		return w
	}
	for id, want := range map[string]string{"id-1": "2 >3", "id-2": "3 -1", "id-3": "2 >4 -1", "id-9": "2 >3 -1"} {
		w := rotated()
		w.revoked = []v1alpha1.ClientSecretID{v1alpha1.ClientSecretID(id)}
		w.turn(0)
		w.is(t, "revoked "+id, want)
	}
	w := rotated()
	w.revoked = []v1alpha1.ClientSecretID{"id-1", "id-2", "id-3"}
	w.turn(0)
	w.is(t, "all revoked", "4")
	if w.handled != "b" {
		t.Error("a new secret is what was asked for")
	}
}

// A backup from before a revocation, restored for a client that was created again, must not bring the secret back.
func TestRevocationOutlivesARestore(t *testing.T) {
	w := newWheel()
	w.current.recordedID = "id-of-before"
	w.previous = []secretValue{{value: newClientSecret(), id: "p", recordedID: "previous-of-before", expiresAt: w.now.Add(time.Minute)}}
	w.revoked = []v1alpha1.ClientSecretID{"id-of-before", "previous-of-before"}
	w.turn(0)
	w.is(t, "restored", "2")
}

func TestClientSecretThatSomebodyWroteIsReplaced(t *testing.T) {
	w := newWheel()
	w.current.value = "guessable"
	w.turn(0)
	w.is(t, "written over", "2")
}

func TestShorterOverlapHoldsForWhatIsInIt(t *testing.T) {
	w := newWheel()
	w.previous = []secretValue{{value: newClientSecret(), id: "p", expiresAt: w.now.Add(1000 * time.Hour)}}
	w.turn(0)
	first := w.previous[0].expiresAt
	if first.After(w.now.Add(time.Hour + time.Second)) {
		t.Errorf("expires at %v", first)
	}
	w.turn(time.Minute)
	if !w.previous[0].expiresAt.Equal(first) {
		t.Error("the expiry moves on")
	}
}

func testKeys(t *testing.T) *keys.Set {
	t.Helper()
	material, _, err := (*keys.Material)(nil).Rotate(keys.Schedule{Algorithms: []keys.Algorithm{keys.ES256}, Interval: time.Hour, PublishAhead: time.Minute, Keep: time.Hour, KeepSealing: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.NewSet(material)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestChainIsReadAsItWasWritten(t *testing.T) {
	set, c := testKeys(t), storefront()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	made := func(ago time.Duration) secretValue {
		value := newClientSecret()
		id := secretID(set, c, value)
		return secretValue{value: value, id: id, recordedID: id, createdAt: now.Add(-ago)}
	}
	next := made(0)
	ch := chain{current: made(time.Hour), next: &next, asked: "b", handled: "a"}
	for ago := range 3 {
		old := made(time.Duration(ago+2) * time.Hour)
		old.expiresAt = now.Add(time.Hour)
		ch.previous = append(ch.previous, old)
	}
	secret, err := desiredSecret(nil, c, issuer, &ch)
	if err != nil {
		t.Fatal(err)
	}
	got := chainIn(secret, c, set, now)
	if !slices.Equal(got.valid(), ch.valid()) || got.asked != "b" || got.handled != "a" {
		t.Errorf("got  %+v\nwant %+v", got, ch)
	}
	for _, s := range ch.valid()[1:] {
		for key, value := range secret.Data {
			if key != entryRecord && strings.Contains(string(value), s.value) {
				t.Errorf("key %s holds another client secret than the current one", key)
			}
		}
	}
	done := chain{current: ch.current}
	secret, err = desiredSecret(secret, c, issuer, &done)
	if _, left := secret.Data[entryRecord]; left || err != nil {
		t.Errorf("a record of nothing is left, %v", err)
	}
}

func TestRecordThatSomebodyWroteGivesNothing(t *testing.T) {
	set, c := testKeys(t), storefront()
	now := time.Now()
	current, other := newClientSecret(), newClientSecret()
	in := func(r record) chain {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return chainIn(&corev1.Secret{Data: map[string][]byte{entryClientSecret: []byte(current), entryRecord: text}}, c, set, now)
	}
	later := now.Add(time.Hour)
	for name, ch := range map[string]chain{
		"no JSON":                  chainIn(&corev1.Secret{Data: map[string][]byte{entryClientSecret: []byte(current), entryRecord: []byte("{")}}, c, set, now),
		"weak":                     in(record{Next: &recorded{Value: "guessable"}, Previous: []recorded{{Value: "", ExpiresAt: &later}}}),
		"the current one again":    in(record{Next: &recorded{Value: current}, Previous: []recorded{{Value: current, ExpiresAt: &later}}}),
		"previous that never ends": in(record{Previous: []recorded{{Value: other}}}),
	} {
		if len(ch.valid()) != 1 || ch.current.value != current {
			t.Errorf("%s: %+v", name, ch)
		}
	}
	if ch := in(record{Previous: []recorded{{Value: other, ExpiresAt: &later}, {Value: other, ExpiresAt: &later}}}); len(ch.previous) != 1 {
		t.Errorf("one twice: %+v", ch)
	}
	var many []recorded
	for range 100 {
		many = append(many, recorded{Value: newClientSecret(), ExpiresAt: &later})
	}
	if ch := in(record{Previous: many}); len(ch.previous) != maxPrevious {
		t.Errorf("%d previous ones", len(ch.previous))
	}
}

func TestPublicationCountsFromWhenItWasFirstSeen(t *testing.T) {
	var p publications
	name := types.NamespacedName{Namespace: "shop", Name: "storefront"}
	begin := time.Now()
	if !p.since(name, "a", begin).Equal(begin) || !p.since(name, "a", begin.Add(time.Hour)).Equal(begin) {
		t.Error("the same secret")
	}
	other := types.NamespacedName{Namespace: "shop", Name: "other"}
	if p.since(name, "b", begin.Add(time.Hour)).Equal(begin) || !p.since(other, "b", begin).Equal(begin) {
		t.Error("another secret, another client")
	}
	p.forget(name)
	if later := begin.Add(2 * time.Hour); !p.since(name, "b", later).Equal(later) {
		t.Error("forgotten")
	}
}

// A controller that has started, and finds a successor that another one stored before it was killed, publishes it, and is to see that it did:
// from then on it is published.
func TestAClientWhoseNextSecretIsBeingPublishedIsNotSettled(t *testing.T) {
	set, c := testKeys(t), &v1alpha1.OAuthClient{}
	w := newWheel()
	if cred := w.turn(0).credential(set, c); !cred.settled() {
		t.Error("a client with one secret, that is not to rotate, is not settled")
	}
	w.request = "a"
	w.turn(0)
	w.publishedAt = time.Time{}
	if cred := w.turn(0).credential(set, c); !cred.again.IsZero() || cred.settled() {
		t.Errorf("nothing is to be done until %v, settled: %t", cred.again, cred.settled())
	}
}
