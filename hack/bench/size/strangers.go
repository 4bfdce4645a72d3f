package size

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	// strangersTurn is how long strangers ask until memory is looked at, and strangersTurns how often that is. All that is kept of them is full
	// within the first.
	strangersTurn        = 15 * time.Second
	strangersTurns       = 4
	strangersConnections = 64
	// strangersGrowth is what the last turn may take of the first.
	strangersGrowth = 1.1
)

// withStrangers has a server asked, as fast as it answers, by strangers: each request comes from a network of its own, as trusted proxies
// would tell it, and has names, codes and tokens that nobody has sent before.
func (b *bench) withStrangers(ctx context.Context) error {
	if err := b.PutClients(ctx, 0, fewClients); err != nil {
		return err
	}
	return b.server(ctx, "strangers", func(ctx context.Context, p *site.Program, m memory, _ heap) error {
		b.note("server, before strangers: resident memory at rest", m.resident/mebibyte, "MiB")
		taken, err := b.strangers(ctx, p)
		if err != nil {
			return err
		}
		b.note("server, strangers: resident memory", taken[0]/mebibyte, "MiB")
		b.note(fmt.Sprintf("server, strangers: resident memory %v later", strangersTurn*(strangersTurns-1)), taken[strangersTurns-1]/mebibyte, "MiB")
		b.note("server, strangers: later × at first", taken[strangersTurns-1]/taken[0], "", atMost(strangersGrowth))
		rest, err := rested(ctx, p)
		b.note("server, after strangers: resident memory at rest", rest.resident/mebibyte, "MiB")
		return err
	}, "--trusted-proxies=127.0.0.0/8")
}

// strangers ask, and what the server takes after each turn is returned, in bytes.
func (b *bench) strangers(ctx context.Context, p *site.Program) ([]float64, error) {
	host := strings.TrimPrefix(b.Issuer(), "http://")
	load := generator.Load{
		Dial: generator.HTTP(fmt.Sprintf("127.0.0.1:%d", b.Listen.HTTP), nil, generator.Request{
			Append: func(text []byte, n int) []byte { return append(text, stranger(host, n)...) },
			Check:  refused,
		}),
		Connections: strangersConnections, Duration: strangersTurn,
	}
	var taken []float64
	for range strangersTurns {
		result, err := load.Run(ctx)
		if err != nil {
			return nil, err
		}
		m, err := memoryOf(p.PID())
		if err != nil {
			return nil, err
		}
		b.Tell("  %.0f strangers a second: %.0f MiB", result.Rate(), m.resident/mebibyte)
		taken = append(taken, m.resident)
	}
	return taken, nil
}

// refused says what is wrong with an answer to a stranger.
func refused(n int, a generator.Answer) error {
	if a.Status < 400 || a.Status >= 500 {
		return fmt.Errorf("request %d of a stranger: %d: %.300s", n, a.Status, a.Body)
	}
	return nil
}

// stranger is the n-th request as it goes over the wire.
func stranger(host string, n int) string {
	client := site.ClientID(n % fewClients)
	if n%2 == 0 {
		client = fmt.Sprintf("nobody/%x", rand.Uint64())
	}
	made := fmt.Sprintf("%x", rand.Uint64())
	kinds := []struct{ path, field, body string }{
		{"/authorize?response_type=code&redirect_uri=https%3A%2F%2Fnobody.example&state=" + made + "&client_id=" + client, "", ""},
		{"/token", "Authorization: Basic bm9ib2R5OmFuZCBub3RoaW5nIGF0IGFsbA==", "grant_type=client_credentials&resource=" + made},
		{"/token", "", "grant_type=authorization_code&code=" + made + "&client_id=" + client},
		{"/device_authorization", "", "client_id=nobody-" + made},
		{"/introspect", "Authorization: Bearer " + made + "." + made + "." + made, "token=" + made},
		{"/revoke", "", "token=" + made + "&client_id=" + client},
		{"/" + made + "?" + made, "Cookie: __Host-latchkey=" + made, ""},
	}
	k := kinds[n%len(kinds)]
	var lines []string
	if k.body == "" {
		lines = []string{"GET " + k.path + " HTTP/1.1"}
	} else {
		lines = []string{"POST " + k.path + " HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(k.body))}
	}
	lines = append(lines, "Host: "+host, "X-Forwarded-For: "+network(n))
	if k.field != "" {
		lines = append(lines, k.field)
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + k.body
}

// network is an address in some network: an IPv4 address, or one of a /64.
func network(n int) string {
	r := rand.Uint64()
	if n%2 == 0 {
		return fmt.Sprintf("2001:%x:%x:%x::1", r&0xffff, r>>16&0xffff, r>>32&0xffff)
	}
	return fmt.Sprintf("%d.%d.%d.%d", 11+r%100, r>>8&0xff, r>>16&0xff, r>>24&0xff)
}
