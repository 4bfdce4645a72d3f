package valkey

import (
	"context"
	"errors"
	"fmt"
	"sync"

	driver "github.com/valkey-io/valkey-go"
)

// redirects is how often a write follows a slot of a Cluster that has moved.
const redirects = 3

const (
	// maxLanes is how many batches are under way at a time where one server has all keys, and maxBatch how many writes are in one. While as
	// few are, those that wait make the next ones larger, and what a batch costs once is shared by more.
	maxLanes = 4
	maxBatch = 64
	// maxClusterLanes is how many writes are under way at a time in a Cluster. Each is a batch of its own: keys are at different nodes.
	maxClusterLanes = 64
)

// lanes are what writes travel on: each has one batch under way, on a connection of its own. One ROLE says for all of a batch how many
// replicas there are, and one WAIT returns once one of them has all of it.
type lanes struct {
	writer driver.Client
	// most is how many lanes there may be, and batch how many writes may travel together.
	most, batch int

	mu      sync.Mutex
	open    int
	waiting []*pending
}

// pending is a write that has not been answered yet.
type pending struct {
	ctx context.Context
	cmd command
	// done is closed once answer and err are there.
	done   chan struct{}
	answer string
	err    error
}

func newLanes(writer driver.Client) *lanes {
	l := &lanes{writer: writer, most: maxLanes, batch: maxBatch}
	if writer.Mode() == driver.ClientModeCluster {
		l.most, l.batch = maxClusterLanes, 1
	}
	return l
}

// do has a write sent, by itself or with others, and returns what Store.write does.
func (l *lanes) do(ctx context.Context, cmd command) (string, error) {
	p := &pending{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	l.put(p)
	select {
	case <-p.done:
		return p.answer, p.err
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", errNoAnswer, context.Cause(ctx))
	}
}

// put lets the write wait for a lane, or opens one.
func (l *lanes) put(p *pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, p)
	if l.open < l.most {
		l.open++
		go l.run()
	}
}

// run sends one batch after another until nothing waits.
func (l *lanes) run() {
	for batch := l.take(); len(batch) > 0; batch = l.take() {
		l.send(batch)
		for _, p := range batch {
			close(p.done)
		}
	}
}

// take returns what is to be sent next, without what nobody waits for any more. Where that is nothing the lane is closed.
func (l *lanes) take() []*pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*pending
	for len(l.waiting) > 0 && len(batch) < l.batch {
		if p := l.waiting[0]; p.ctx.Err() == nil {
			batch = append(batch, p)
		}
		l.waiting[0], l.waiting = nil, l.waiting[1:]
	}
	if len(batch) == 0 {
		l.open--
	}
	return batch
}

// send is one attempt, and in a Cluster follows a slot that has moved. All that is in the batch has its answer then.
func (l *lanes) send(batch []*pending) {
	node := l.writer
	for range redirects {
		_ = node.Dedicated(func(c driver.DedicatedClient) error {
			exchange(c, batch)
			return nil
		}) // it returns what the function does
		address, moved := movedTo(batch[0].err)
		if !moved {
			return
		}
		if node = l.writer.Nodes()[address]; node == nil {
			return // one that isn't known yet, and will be in a moment
		}
	}
}

// movedTo is the address of the node that a refused write belongs to.
func movedTo(err error) (address string, moved bool) {
	var refusal *driver.ValkeyError
	if !errors.As(err, &refusal) {
		return "", false
	}
	return refusal.IsMoved()
}

// exchange sends what is in the batch, and takes the answers. ROLE travels with it, and says how many replicas there are to wait for.
func exchange(c driver.DedicatedClient, batch []*pending) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	commands := make([]driver.Completed, 0, len(batch)+1)
	for _, p := range batch {
		commands = append(commands, p.cmd(c.B()))
	}
	results := c.DoMulti(ctx, append(commands, c.B().Role().Build())...)
	kept := confirm(c, results[len(batch)])
	for i, p := range batch {
		p.answer, p.err = text(results[i])
		_, refused := driver.IsValkeyErr(p.err)
		switch {
		case refused:
			p.err = fmt.Errorf("store/valkey: the server refused: %w", p.err)
		case p.err != nil:
			p.err = fmt.Errorf("%w: %w", errNoAnswer, p.err)
		default:
			p.err = kept
		}
	}
}

// confirm returns once a replica, where there is one, has done all that was written on the connection.
func confirm(c driver.DedicatedClient, answer driver.ValkeyResult) error {
	is, err := roleOf(answer)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errNotReplicated, err)
	case is.replicas == 0:
		return nil
	}
	return await(c)
}

// text is an answer that is a string; empty for any other, and for none.
func text(r driver.ValkeyResult) (string, error) {
	m, err := r.ToMessage()
	if driver.IsValkeyNil(err) || err == nil && !m.IsString() {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return m.ToString()
}

// await returns once a replica has done all that was written on the connection.
func await(c driver.DedicatedClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), replicaTimeout+callTimeout)
	defer cancel()
	n, err := c.Do(ctx, c.B().Wait().Numreplicas(1).Timeout(replicaTimeout.Milliseconds()).Build()).AsInt64()
	if err != nil {
		return fmt.Errorf("%w: %w", errNotReplicated, err)
	}
	if n == 0 {
		return errNotReplicated
	}
	return nil
}
