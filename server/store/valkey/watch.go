package valkey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	driver "github.com/valkey-io/valkey-go"
)

const (
	// beatInterval is how often every node is asked for a sign of life, and beatTimeout how long it has for it.
	beatInterval = 250 * time.Millisecond
	beatTimeout  = 500 * time.Millisecond
	// belief is for how long after a sign of life was asked for, and given, what is remembered counts. A change that another
	// replica makes is told before the answer to anything that is asked later: so what is remembered is never older than this,
	// even when a connection hangs and nobody knows yet.
	belief = 900 * time.Millisecond
)

// beat asks every node for a sign of life, on the connection that tells of changes, and believes what is remembered for a while
// if all of them give one. Where one doesn't, what is remembered stops counting by itself.
func (s *Store) beat(ctx context.Context) error {
	if err := s.Connect(); err != nil {
		return err
	}
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	asked := time.Now()
	if err := eachNode(ctx, r, func(ctx context.Context, node driver.Client) error {
		ctx, cancel := context.WithTimeout(ctx, beatTimeout)
		defer cancel()
		is, err := roleOf(node.Do(ctx, node.B().Role().Build()))
		if err == nil && !is.primary && r.Mode() != driver.ClientModeCluster {
			err = errReplica
		}
		return err
	}); err != nil {
		return fmt.Errorf("store/valkey: a sign of life: %w", err)
	}
	s.cache.believe(asked.Add(belief))
	return nil
}

// errReplica: what the one server says may be old, and is not told by whoever writes.
var errReplica = errors.New("it is a replica; the address of the primary is needed, or those of Sentinels")

// eachNode calls f for every node of a Cluster, or the one server, at once.
func eachNode(ctx context.Context, c driver.Client, f func(context.Context, driver.Client) error) error {
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	nodes := c.Nodes()
	for address, node := range nodes {
		all.Go(func() {
			if err := f(ctx, node); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", address, err))
			}
		})
	}
	all.Wait()
	if len(nodes) == 0 {
		return errors.New("no node is known")
	}
	return errors.Join(errs...)
}

// role is what a node says of itself.
type role struct {
	primary bool
	// replicas is how many follow a primary.
	replicas int
}

func roleOf(r driver.ValkeyResult) (role, error) {
	answer, err := r.ToArray()
	if err != nil {
		return role{}, err
	}
	if len(answer) < 3 {
		return role{}, errors.New("store/valkey: the answer to ROLE is not one")
	}
	name, err := answer[0].ToString()
	if err != nil || name != "master" {
		return role{}, err
	}
	replicas, err := answer[2].ToArray()
	return role{primary: true, replicas: len(replicas)}, err
}
