package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock takes an exclusive lock on a file, creating it, and waits for whoever holds it. The kernel releases the lock
// with the process, so a crash leaves nothing to clean up. wait is called once when the lock is not free.
func Lock(file string, wait func()) (io.Closer, error) {
	lock, err := TryLock(file)
	if !errors.Is(err, ErrLocked) {
		return lock, err
	}
	wait()
	return flock(file, 0)
}

// TryLock is Lock without waiting: it fails with ErrLocked when another process holds the lock.
func TryLock(file string) (*os.File, error) {
	return flock(file, syscall.LOCK_NB)
}

func flock(file string, flags int) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|flags)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
	}
	return f, nil
}
