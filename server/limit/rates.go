package limit

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Rates are the limits on requests. A Rate whose PerSecond is 0 is no limit.
type Rates struct {
	// Page is for pages, by network.
	Page Rate
	// Unproven is for requests of clients that fail to prove who they are, and for access tokens that are no good, by network.
	Unproven Rate
	// Public is for requests in the name of a client that has nothing to prove itself with, by client and network.
	Public Rate
	// Client is for requests of a client that has proven itself, wherever it is.
	Client Rate
}

// DefaultRates are generous to whom has proven itself: a fleet behind one address, and a client as fast as a processor can serve it.
func DefaultRates() Rates {
	return Rates{
		Page:     Rate{PerSecond: 100, Burst: 1000},
		Unproven: Rate{PerSecond: 20, Burst: 200},
		Public:   Rate{PerSecond: 50, Burst: 500},
		Client:   Rate{PerSecond: 5000, Burst: 20000},
	}
}

// MarshalText writes rate:burst.
func (r Rate) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%s:%d", strconv.FormatFloat(r.PerSecond, 'f', -1, 64), r.Burst), nil
}

// slowest is the lowest rate in requests a second, one a day: waits for the next one are told in seconds, and are to be counted.
const slowest = 1.0 / (24 * 60 * 60)

// UnmarshalText reads rate:burst, or 0 for no limit.
func (r *Rate) UnmarshalText(text []byte) error {
	if string(text) == "0" {
		*r = Rate{}
		return nil
	}
	first, second, _ := strings.Cut(string(text), ":")
	perSecond, err := strconv.ParseFloat(first, 64)
	burst, burstErr := strconv.Atoi(second)
	if err != nil || burstErr != nil || !(perSecond >= slowest) || math.IsInf(perSecond, 0) || burst < 1 {
		return fmt.Errorf("%q is not rate:burst such as 100:1000, at least one a day, nor 0", text)
	}
	*r = Rate{PerSecond: perSecond, Burst: burst}
	return nil
}

// Requests limits requests by Rates. It is safe for concurrent use; nil limits nothing.
type Requests struct{ page, unproven, public, client *Buckets }

// NewRequests makes Requests.
func NewRequests(r Rates) *Requests {
	return &Requests{page: NewBuckets(r.Page), unproven: NewBuckets(r.Unproven), public: NewBuckets(r.Public), client: NewBuckets(r.Client)}
}

// Page counts a request for a page.
func (r *Requests) Page(from netip.Addr, now time.Time) (retryAfter time.Duration, ok bool) {
	if r == nil {
		return 0, true
	}
	return r.page.Take(Key{Network: Network(from)}, now)
}

// Unproven counts a request whose credential is no good.
func (r *Requests) Unproven(from netip.Addr, now time.Time) (retryAfter time.Duration, ok bool) {
	if r == nil {
		return 0, true
	}
	return r.unproven.Take(Key{Network: Network(from)}, now)
}

// Public counts a request in the name of a client that proves nothing. Whoever knows its client_id can use up what it may do from his
// own network, and nothing else.
func (r *Requests) Public(client string, from netip.Addr, now time.Time) (retryAfter time.Duration, ok bool) {
	if r == nil {
		return 0, true
	}
	return r.public.Take(Key{Client: client, Network: Network(from)}, now)
}

// Client counts a request of a client that has proven itself. Nobody else's are counted there.
func (r *Requests) Client(client string, now time.Time) (retryAfter time.Duration, ok bool) {
	if r == nil {
		return 0, true
	}
	return r.client.Take(Key{Client: client}, now)
}
