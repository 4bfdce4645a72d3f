package oauthclient

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
)

// entryRecord is where a Generated Secret holds, for Latchkey alone, what else there is of client secrets. In a volume it is a hidden
// file. Should status be lost, it is made again from here.
const entryRecord = ".latchkey"

// record is the content of entryRecord.
type record struct {
	Next     *recorded  `json:"next,omitempty"`
	Asked    string     `json:"asked,omitempty"`
	Previous []recorded `json:"previous,omitempty"`
	Handled  string     `json:"handled,omitempty"`
}

// recorded is a client secret that is valid besides the current one. Its id follows from the value, for this client at its issuer.
type recorded struct {
	ID        string     `json:"id"`
	Value     string     `json:"value"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
}

// marshal is the content of entryRecord; nil when there is nothing to record.
func (ch *chain) marshal() ([]byte, error) {
	if ch.next == nil && len(ch.previous) == 0 && ch.handled == "" {
		return nil, nil // which is no error
	}
	r := record{Handled: ch.handled}
	if ch.next != nil {
		r.Next, r.Asked = &recorded{ID: ch.next.id, Value: ch.next.value, CreatedAt: ch.next.createdAt}, ch.asked
	}
	for _, s := range ch.previous {
		r.Previous = append(r.Previous, recorded{s.id, s.value, s.createdAt, &s.expiresAt})
	}
	return json.Marshal(r)
}

// chainIn reads the client secrets in a Secret that we made. What can't have been written by us is not there.
func chainIn(secret *corev1.Secret, c *v1alpha1.OAuthClient, set *keys.Set, now time.Time) chain {
	value := valueIn(secret, clientSecret(c))
	id := secretID(set, c, value)
	ch := chain{current: secretValue{value: value, id: id, recordedID: secret.Annotations[AnnotationSecretID], createdAt: createdAt(secret, id, now)}}
	var r record
	if err := json.Unmarshal(secret.Data[entryRecord], &r); err != nil {
		return ch // none, or broken by somebody: the current one counts
	}
	read := func(s *recorded) secretValue {
		out := secretValue{value: s.Value, id: secretID(set, c, s.Value), recordedID: s.ID, createdAt: s.CreatedAt.UTC().Truncate(time.Second)}
		if out.createdAt.After(now) {
			out.createdAt = now.UTC().Truncate(time.Second)
		}
		if s.ExpiresAt != nil {
			out.expiresAt = s.ExpiresAt.UTC().Truncate(time.Second)
		}
		return out
	}
	known := map[string]bool{value: true}
	good := func(s *recorded) bool {
		ok := wellFormed(s.Value) && !known[s.Value]
		known[s.Value] = true
		return ok
	}
	if r.Next != nil && good(r.Next) {
		next := read(r.Next)
		next.expiresAt = time.Time{}
		ch.next, ch.asked = &next, r.Asked
	}
	for i := range r.Previous {
		if s := &r.Previous[i]; s.ExpiresAt != nil && len(ch.previous) < maxPrevious && good(s) {
			ch.previous = append(ch.previous, read(s))
		}
	}
	ch.handled = r.Handled
	return ch
}
