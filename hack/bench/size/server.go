package size

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// Targets of the server: seconds until it is ready, bytes of memory.
const (
	readyWithFew, readyWithMany = 1, 15
	emptyMemory                 = 60 * mebibyte
	// memoryAClient is what each client adds to the process, all included; memoryBeyond is the part that is not the informer's own copy.
	memoryAClient = 4 * mebibyte / 1000
	memoryBeyond  = 2 * 1024
	mebibyte      = 1 << 20
)

// withNone has a server start without any client but the one that is copied.
func (b *bench) withNone(ctx context.Context) error {
	return b.server(ctx, "none", func(_ context.Context, p *site.Program, m memory, h heap) error {
		b.empty, b.emptyHeap = m.resident, h
		b.note("server, no clients: start to ready", p.Ready.Seconds(), "s")
		b.note("server, no clients: processor time until ready", p.Processor.Seconds(), "s")
		b.note("server, no clients: resident memory at rest", m.resident/mebibyte, "MiB", atMost(emptyMemory/mebibyte))
		return nil
	})
}

// withGrants has one start with grants alone.
func (b *bench) withGrants(ctx context.Context) error {
	if err := b.PutGrants(ctx, b.Objects, 30*24*time.Hour, 0); err != nil {
		return err
	}
	return b.server(ctx, "grants", func(_ context.Context, p *site.Program, m memory, h heap) error {
		n := float64(b.Objects)
		b.note(fmt.Sprintf("server, %d grants: start to ready", b.Objects), p.Ready.Seconds(), "s")
		b.note(fmt.Sprintf("server, %d grants: processor time until ready", b.Objects), p.Processor.Seconds(), "s")
		b.note("server: resident memory a grant", (m.resident-b.empty)/n, "B")
		b.note("server: live heap a grant", (h.all-b.emptyHeap.all)/n, "B")
		return nil
	})
}

// withFew has one start with as many clients as an ordinary cluster has.
func (b *bench) withFew(ctx context.Context) error {
	if err := b.PutClients(ctx, 0, fewClients); err != nil {
		return err
	}
	return b.server(ctx, "few", func(_ context.Context, p *site.Program, m memory, _ heap) error {
		b.note(fmt.Sprintf("server, %d clients: start to ready", fewClients), p.Ready.Seconds(), "s", atMost(readyWithFew))
		b.note(fmt.Sprintf("server, %d clients: processor time until ready", fewClients), p.Processor.Seconds(), "s")
		b.note(fmt.Sprintf("server, %d clients: resident memory at rest", fewClients), m.resident/mebibyte, "MiB")
		return nil
	})
}

// withMany has one start with many clients.
func (b *bench) withMany(ctx context.Context) error {
	if err := b.PutClients(ctx, 0, b.Objects); err != nil {
		return err
	}
	return b.server(ctx, "many", func(_ context.Context, p *site.Program, m memory, h heap) error {
		n := float64(b.Objects)
		b.note(fmt.Sprintf("server, %d clients: start to ready", b.Objects), p.Ready.Seconds(), "s", atMost(readyWithMany))
		b.note(fmt.Sprintf("server, %d clients: processor time until ready", b.Objects), p.Processor.Seconds(), "s")
		b.note(fmt.Sprintf("server, %d clients: resident memory at rest", b.Objects), m.resident/mebibyte, "MiB")
		b.note(fmt.Sprintf("server, %d clients: most resident memory so far", b.Objects), m.peak/mebibyte, "MiB")
		b.note("server: resident memory a client", (m.resident-b.empty)/n, "B", atMost(memoryAClient))
		b.note("server: live heap a client", (h.all-b.emptyHeap.all)/n, "B")
		b.note("server: live heap a client, beyond the informer's own copy", (h.ours-b.emptyHeap.ours)/n, "B", atMost(memoryBeyond))
		return nil
	})
}

// withAll has one start with many clients and as many grants, and changes clients under it.
func (b *bench) withAll(ctx context.Context) error {
	if err := errors.Join(b.PutClients(ctx, 0, b.Objects), b.PutGrants(ctx, b.Objects, 30*24*time.Hour, 0)); err != nil {
		return err
	}
	return b.server(ctx, "all", func(ctx context.Context, p *site.Program, m memory, _ heap) error {
		what := fmt.Sprintf("server, %d clients and %d grants: ", b.Objects, b.Objects)
		b.note(what+"start to ready", p.Ready.Seconds(), "s", atMost(readyWithMany))
		b.note(what+"processor time until ready", p.Processor.Seconds(), "s")
		b.note(what+"resident memory at rest", m.resident/mebibyte, "MiB")
		return b.honoured(ctx)
	})
}

// server starts one with the flags when kube-apiserver is idle, lets it rest, and hands it over with its memory.
func (b *bench) server(ctx context.Context, name string, use func(context.Context, *site.Program, memory, heap) error, flags ...string) (err error) {
	if err := b.Settle(ctx); err != nil {
		return err
	}
	p, err := b.StartServer(ctx, site.Server{Args: flags})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	m, err := rested(ctx, p)
	if err != nil {
		return err
	}
	h, err := b.heapOf(ctx, p, name)
	if err != nil {
		return err
	}
	return use(ctx, p, m, h)
}
