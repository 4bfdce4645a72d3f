package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/hack/controlplane/build"
)

// hold takes a lock for the life of this process and notes its id in the file. It fails with build.ErrLocked when another
// process holds it.
func hold(file string) (io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	lock, err := build.TryLock(file)
	if err != nil {
		return nil, err
	}
	err = lock.Truncate(0)
	if err == nil {
		_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// holder returns the id of the process that holds a lock, or 0 when nobody does.
func holder(file string) (int, error) {
	lock, err := build.TryLock(file)
	switch {
	case err == nil:
		return 0, lock.Close()
	case errors.Is(err, os.ErrNotExist): // not even the directory is there
		return 0, nil
	case !errors.Is(err, build.ErrLocked):
		return 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s is locked by a process that has not written its id: %w", file, err)
	}
	return pid, nil
}

func (s site) runLock() string     { return s.path("run.lock") }
func (s site) clusterLock() string { return s.path("cluster.lock") }
