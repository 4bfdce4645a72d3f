package grant

import (
	"fmt"
	"testing"
	"time"
)

// Row: anonymous flood: of devices that ask, and of clients that were told to try again, no more than there is room for are remembered, and
// those that were heard of last.
func TestWhatIsRememberedOfRequestsIsBounded(t *testing.T) {
	p, o, now := newPolls(), newOwed(), time.Unix(1e9, 0)
	const more = 2 * max(maxPolls, maxOwed)
	for i := range more {
		p.inTime(fmt.Sprint(i), now)
		o.note(fmt.Sprint(i), 1, now)
	}
	if polls, owed := p.byID.Len(), o.until.Len(); polls != maxPolls || owed != maxOwed {
		t.Errorf("%d polls and %d answers are remembered", polls, owed)
	}
	if last := fmt.Sprint(more - 1); p.inTime(last, now) || !o.has(last, 1, now) {
		t.Error("the last one is forgotten")
	}
}
