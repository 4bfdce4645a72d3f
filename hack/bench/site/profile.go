package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Profile keeps a profile of the server's processor time in a file, taken for so long while work is done.
func (p *Program) Profile(ctx context.Context, file string, duration time.Duration, work func() error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		status, err := Get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", p.Health, max(1, int(duration/time.Second))), f)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("profile: status %d", status)
		}
		done <- err
	}()
	err = work()
	return errors.Join(err, <-done, f.Close())
}
