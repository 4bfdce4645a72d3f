package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/load/ceiling"
	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/report"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// The names of what is compared, beside those that other servers were measured at.
const (
	introspectionSeen = "introspection of a JWT seen before"
	reviewFirst       = "TokenReview"
	reviewSeen        = "TokenReview of a JWT seen before"
)

// onCeiling is the ceiling of a kind of work, at its plain listener.
func (b *bench) onCeiling(w wire, something string) rounds.Contestant {
	return rounds.Contestant{Name: "ceiling", Dial: dial(b.plain, nil, &w, something)}
}

// onLatchkey is Latchkey at its plain listener.
func (b *bench) onLatchkey(w wire, something string) rounds.Contestant {
	return rounds.Contestant{Name: "Latchkey", Dial: dial(b.http(), nil, &w, something)}
}

// signES256 compares client_credentials with the ceiling, and with other servers.
func (b *bench) signES256(ctx context.Context) error {
	requests := b.tokenRequests(askedAbout, few)
	peer, err := b.peer(ctx, peers.ResourceES256)
	if err != nil {
		return err
	}
	contestants := append([]rounds.Contestant{b.onCeiling(requests, issued), b.onLatchkey(requests, issued)}, peer...)
	return b.compare(ctx, string(peers.ClientCredentialsES256), signES256Target, contestants)
}

// signRS256 compares with a loop that signs and does nothing else, over one connection, which brings many signatures at a time.
func (b *bench) signRS256(ctx context.Context) error {
	loop := b.onCeiling(wire{b.post(request{path: ceiling.SignPath, contentType: formType})}, "")
	loop.Name, loop.Connections, loop.Units = "bare signing loop", 1, ceiling.Signatures
	peer, err := b.peer(ctx, peers.ResourceRS256)
	if err != nil {
		return err
	}
	contestants := append([]rounds.Contestant{loop, b.onLatchkey(b.tokenRequests(0, askedAbout), issued)}, peer...)
	return b.compare(ctx, string(peers.ClientCredentialsRS256), signRS256Target, contestants)
}

// kind is a way to ask about tokens.
type kind struct {
	seen, first string
	// requests makes requests about tokens of their own.
	requests func(n int) (wire, error)
	// something is what a good answer has in it.
	something         string
	latchkey, ceiling string
	config            *tls.Config
}

func (b *bench) introspecting() kind {
	return kind{introspectionSeen, string(peers.Introspection), b.introspections, active, b.http(), b.plain, nil}
}

func (b *bench) reviewing() (kind, error) {
	config, err := b.asAPIServer()
	return kind{reviewSeen, reviewFirst, b.reviews, authenticated, b.https(), b.review, config}, err
}

func (b *bench) introspection(ctx context.Context) error { return b.ask(ctx, b.introspecting()) }

func (b *bench) tokenReview(ctx context.Context) error {
	k, err := b.reviewing()
	if err != nil {
		return err
	}
	return b.ask(ctx, k)
}

// ask compares with the ceiling, which verifies each time, tokens seen before and tokens at first sight.
func (b *bench) ask(ctx context.Context, k kind) error {
	seen, err := b.again(k)
	if err != nil {
		return err
	}
	if err := b.compare(ctx, k.seen, seenTarget, seen); err != nil {
		return err
	}
	first, err := b.anew(k)
	if err != nil {
		return err
	}
	return b.compare(ctx, k.first, firstTarget, first)
}

// again are contestants that are asked about the same tokens all the time.
func (b *bench) again(k kind) ([]rounds.Contestant, error) {
	w, err := k.requests(site.PerNamespace)
	return []rounds.Contestant{
		{Name: "ceiling", Dial: dial(k.ceiling, k.config, &w, k.something)}, {Name: "Latchkey", Dial: dial(k.latchkey, k.config, &w, k.something)},
	}, err
}

// fastest is more requests a second than a server verifies tokens in.
const fastest = 12_000

// anew are contestants of which Latchkey is never asked about the same token twice. Nothing about the ceiling depends on that.
func (b *bench) anew(k kind) ([]rounds.Contestant, error) {
	same, err := k.requests(site.PerNamespace)
	if err != nil {
		return nil, err
	}
	var others wire
	supply := int(1.25 * b.Turn.Seconds() * fastest)
	return []rounds.Contestant{
		{Name: "ceiling", Dial: dial(k.ceiling, k.config, &same, k.something)},
		{Name: "Latchkey", Dial: dial(k.latchkey, k.config, &others, k.something), Supply: supply, Before: func() (err error) {
			others, err = k.requests(supply)
			return err
		}},
	}, nil
}

// withMany measures what is lost when there are many clients and many grants. The ceiling is measured both times, and what the machine gains
// or loses meanwhile is taken out by it.
func (b *bench) withMany(ctx context.Context) error {
	review, err := b.reviewing()
	if err != nil {
		return err
	}
	works := []struct {
		name string
		// contestants are the ceiling and Latchkey when there are so many clients.
		contestants func(clients int) ([]rounds.Contestant, error)
	}{
		{string(peers.ClientCredentialsES256), func(clients int) ([]rounds.Contestant, error) {
			requests := b.tokenRequests(askedAbout, clients)
			return []rounds.Contestant{b.onCeiling(requests, issued), b.onLatchkey(requests, issued)}, nil
		}},
		{introspectionSeen, func(int) ([]rounds.Contestant, error) { return b.again(b.introspecting()) }},
		{reviewSeen, func(int) ([]rounds.Contestant, error) { return b.again(review) }},
	}
	ratios := func(clients int) (ratios []float64, err error) {
		for _, work := range works {
			contestants, err := work.contestants(clients)
			if err != nil {
				return nil, err
			}
			standings, err := b.rules().Compare(ctx, contestants)
			if err != nil {
				return nil, err
			}
			ratios = append(ratios, standings[1].Ratio)
			name := fmt.Sprintf("%s, %d clients", work.name, clients)
			b.Note(report.Figure{Name: name, Value: standings[1].Rate, Unit: "/s"})
			b.Note(report.Figure{Name: name + ": × ceiling", Value: standings[1].Ratio})
			if err := b.profile(ctx, name, &contestants[1]); err != nil {
				return nil, err
			}
		}
		return ratios, nil
	}
	before, err := ratios(few)
	if err != nil {
		return err
	}
	if err := b.grow(ctx); err != nil {
		return err
	}
	after, err := ratios(b.Objects)
	if err != nil {
		return err
	}
	for i, work := range works {
		b.Note(report.Figure{Name: work.name + ": with many clients and grants × with few", Value: after[i] / before[i], AtLeast: fallTarget})
	}
	return nil
}

// grow has many clients and as many grants, and a server that started with them. One that followed might have lost some: copies are put into
// etcd hundreds in a transaction, which have one version, and a watch that breaks in the middle of them goes on behind them all. No API
// server writes so.
func (b *bench) grow(ctx context.Context) error {
	if b.Objects <= few {
		return fmt.Errorf("%d clients are no more than %d", b.Objects, few)
	}
	if err := b.PutClients(ctx, few, b.Objects); err != nil {
		return err
	}
	if err := b.PutGrants(ctx, b.Objects, grantLifetime, few); err != nil {
		return err
	}
	if err := b.server.Close(); err != nil {
		return err
	}
	if err := b.Settle(ctx); err != nil {
		return err
	}
	if err := b.startServer(ctx); err != nil {
		return err
	}
	if err := b.honours(ctx, b.Objects-1); err != nil {
		return err
	}
	return b.Settle(ctx) // of having sent all of them
}

// profile keeps a profile of the server's processor time in one more turn of Latchkey's, if there is a directory for it.
func (b *bench) profile(ctx context.Context, work string, latchkey *rounds.Contestant) error {
	if b.Profiles == "" {
		return nil
	}
	name := "load-" + strings.ReplaceAll(work, " ", "-") + ".pprof"
	return b.server.Profile(ctx, filepath.Join(b.Profiles, name), b.Turn+time.Second, func() error {
		_, err := b.rules().Take(ctx, latchkey)
		return err
	})
}
