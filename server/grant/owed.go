package grant

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxOwed bounds how many answers are remembered to be owed. Whoever could make there be more has as many refresh tokens in force.
const maxOwed = 1 << 14

// owed remembers refresh tokens, in force as far as this replica knew, whose client was told to try again because what became of the write
// is not known. Should it have been done, the client has no successor, and is still to get it when the grace after the rotation is
// over: an API server may be away for longer than that. The grace begins anew with each such answer.
//
// It is kept by each replica for itself, which is enough for a client that keeps trying: whoever can't reach the store says so.
type owed struct {
	mu    sync.Mutex
	until *simplelru.LRU[owedToken, time.Time]
}

type owedToken struct {
	grant      string
	generation int64
}

func newOwed() *owed {
	until, err := simplelru.NewLRU[owedToken, time.Time](maxOwed, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &owed{until: until}
}

// note remembers a token whose client was told, now, to try again.
func (o *owed) note(grant string, generation int64, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until.Add(owedToken{grant, generation}, now.Add(grace))
}

// has says whether the client of a token is owed an answer.
func (o *owed) has(grant string, generation int64, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	until, ok := o.until.Peek(owedToken{grant, generation})
	return ok && now.Before(until)
}
