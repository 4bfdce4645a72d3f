package interaction

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/session"
	"github.com/latchkey-io/latchkey/server/store"
)

func TestRecentIsBounded(t *testing.T) {
	r, end := NewRecent(), time.Unix(1_000_000, 0)
	for i := range maxRecent + 10 {
		s := &session.Session{ID: fmt.Sprint("session-", i), ExpiresAt: end}
		m := &Memory{[]*store.Grant{{ID: "id", SessionID: s.ID, ExpiresAt: end}}}
		r.Note(m, &registry.Client{UID: "client"}, &registry.Ask{}, s)
	}
	if n := r.ids.Len(); n != maxRecent {
		t.Errorf("%d ids are kept, want %d", n, maxRecent)
	}
}

// What was asked has to be held by one grant, of this session and for as long.
func TestRecentNamesWhatIsEnoughAlone(t *testing.T) {
	end := time.Unix(1_000_000, 0)
	s := &session.Session{ID: "session", ExpiresAt: end}
	c, ask := &registry.Client{UID: "client"}, &registry.Ask{Identity: []string{"openid", "email"}}
	both := []string{"openid", "email"}
	for name, tc := range map[string]struct {
		grants []*store.Grant
		want   string
	}{
		"each has a part": {grants: []*store.Grant{
			{ID: "a", SessionID: s.ID, ExpiresAt: end, Scopes: both[:1]}, {ID: "b", SessionID: s.ID, ExpiresAt: end, Scopes: both[1:]},
		}},
		"of another session": {grants: []*store.Grant{{ID: "a", SessionID: "other", ExpiresAt: end, Scopes: both}}},
		"ends sooner":        {grants: []*store.Grant{{ID: "a", SessionID: s.ID, ExpiresAt: end.Add(-time.Second), Scopes: both}}},
		"the second": {want: "b", grants: []*store.Grant{
			{ID: "a", SessionID: s.ID, ExpiresAt: end, Scopes: both[:1]}, {ID: "b", SessionID: s.ID, ExpiresAt: end, Scopes: both},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRecent()
			r.Note(&Memory{tc.grants}, c, ask, s)
			if got, _ := r.ids.Get(recentKey{s.ID, c.UID}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
