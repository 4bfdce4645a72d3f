package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/hack/controlplane"
)

const (
	operatorNamespace = "latchkey-system"
	sampleNamespace   = "demo"
	tokenLifetime     = time.Hour
)

// renewals write tokens anew before they expire, as kubelet does. The zero value is ready for use.
type renewals struct {
	cancel []context.CancelFunc
	done   sync.WaitGroup
}

// keep calls write, which returns an expiry, again and again from now on.
func (r *renewals) keep(expiry time.Time, write func(context.Context) (time.Time, error), complain func(error)) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = append(r.cancel, cancel)
	r.done.Go(func() {
		for sleepUntil(ctx, expiry) {
			next, err := write(ctx)
			if err != nil {
				complain(err)
				continue
			}
			expiry = next
		}
	})
}

// sleepUntil waits for the first four fifths of what is left until expiry, ten seconds at least. It is false when ctx has ended.
func sleepUntil(ctx context.Context, expiry time.Time) bool {
	timer := time.NewTimer(max(time.Until(expiry)*4/5, 10*time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (r *renewals) stop() {
	for _, cancel := range r.cancel {
		cancel()
	}
	r.done.Wait()
}

// identity writes a kubeconfig for a ServiceAccount and returns its path.
func (e *environment) identity(ctx context.Context, namespace, account string) (string, error) {
	file := filepath.Join(e.stateDir(), account+".kubeconfig")
	expiry, err := e.cp.ServiceAccountKubeconfig(ctx, namespace, account, file, tokenLifetime)
	if err != nil {
		return "", err
	}
	e.renewals.keep(expiry, func(ctx context.Context) (time.Time, error) {
		return e.cp.WriteServiceAccountToken(ctx, namespace, account, controlplane.TokenFile(file), nil, tokenLifetime)
	}, e.complain)
	return file, nil
}

// reviewerToken writes the token by which the photos API is known at Latchkey's TokenReview.
func (e *environment) reviewerToken(ctx context.Context) error {
	write := func(ctx context.Context) (time.Time, error) {
		return e.cp.WriteServiceAccountToken(ctx, sampleNamespace, "photos", e.photosToken(), []string{e.httpsIssuer()}, tokenLifetime)
	}
	expiry, err := write(ctx)
	if err != nil {
		return err
	}
	e.renewals.keep(expiry, write, e.complain)
	return nil
}

func (s site) photosToken() string { return s.path("photos-token") }

func (e *environment) complain(err error) {
	_, _ = fmt.Fprintln(e.out, "renew a token:", err) // nowhere else to complain
}
