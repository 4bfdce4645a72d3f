package valkey

import (
	"context"
	"errors"
	"fmt"

	driver "github.com/valkey-io/valkey-go"
)

// errNotReplicated: the primary has done what was asked, and no replica has confirmed it in time. A failover may undo it.
var errNotReplicated = errors.New("store/valkey: no replica confirmed the write in time")

// errNoAnswer: it is not known whether the write was done.
var errNoAnswer = errors.New("store/valkey: no answer")

// command makes one command, anew for each attempt.
type command func(driver.Builder) driver.Completed

// write sends a command that changes one key, on a connection that nothing else travels on meanwhile but other writes, and returns the answer
// once a replica has done it too, where the primary has one. No value is answered as the empty string. The error is errNoAnswer when the outcome is not known,
// errNotReplicated when it may be undone; with any other nothing was done.
func (s *Store) write(ctx context.Context, verb string, cmd command) (string, error) {
	s.config.OnWrite(verb)
	return s.apply(ctx, cmd)
}

func (s *Store) apply(ctx context.Context, cmd command) (string, error) {
	l, err := s.linked(ctx)
	if err != nil {
		return "", err
	}
	return l.lanes.do(ctx, cmd)
}

// createScript sets a key which does not exist yet, after the indexes. The answer is the value that it has had before, empty where it
// had none; or tooMany, when the second of the indexes names as many as the limit, where there is one.
const createScript = `local current = redis.call('GET', KEYS[1])
if current then return current end
local limit = tonumber(ARGV[7])
if limit > 0 and redis.call('ZCARD', KEYS[3]) >= limit then return '` + tooMany + `' end
` + indexing + `redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
return ''`

// tooMany is what create answers when nothing was written because of the limit.
const tooMany = "-"

func create(key, value string, lifetime int64, n naming, limit int) command {
	return script(createScript, key, n, value, fmt.Sprint(lifetime), fmt.Sprint(limit))
}

// script is one script with the keys and arguments of the naming before its own.
func script(text, key string, n naming, args ...string) command {
	keys := append([]string{key}, n.indexes...)
	return func(b driver.Builder) driver.Completed {
		return b.Eval().Script(text).Numkeys(int64(len(keys))).Key(keys...).Arg(n.args...).Arg(args...).Build()
	}
}

// What swap answers, when not the value that is there.
const (
	swapped = ""
	absent  = "-"
)

// swapScript replaces a value that is the one expected, after the indexes. The answer is swapped, absent, or the value that is there instead.
const swapScript = `local current = redis.call('GET', KEYS[1])
if not current then return '` + absent + `' end
if current ~= ARGV[5] then return current end
` + indexing + `redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7])
return '` + swapped + `'`

// swap is the compare-and-swap of everything. A value that is replaced by itself is written all the same, and waited for.
func swap(key, from, to string, lifetime int64, n naming) command {
	return script(swapScript, key, n, from, to, fmt.Sprint(lifetime))
}

// withdrawScript takes a key away whose value is the one expected.
const withdrawScript = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '' end
redis.call('UNLINK', KEYS[1])
return ''`

// withdraw undoes a create that no replica confirmed, unless somebody has written since. It waits for no replica, nor for writes that do: the
// connection that everything is read by takes it.
func (s *Store) withdraw(ctx context.Context, key, value string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	r, err := s.reader(ctx)
	if err != nil {
		return err
	}
	s.config.OnWrite(VerbDelete)
	if err := r.Do(ctx, r.B().Eval().Script(withdrawScript).Numkeys(1).Key(key).Arg(value).Build()).Error(); err != nil {
		return fmt.Errorf("store/valkey: take a value away: %w", err)
	}
	return nil
}
