package chaos

import (
	"context"
	"fmt"
	"net/http"
	"testing"
)

// Servers are replaced one after the other under load, as a Deployment replaces them. Each is told to end, is not ready any more, serves
// on until the service has noticed, and finishes what it has begun: no request fails, neither of clients nor of kube-apiserver.
func TestRollingUpgrade(t *testing.T) {
	atOnce := max(*flows/5, 10)
	r := newReport(t, "rolling upgrade of both servers under %d concurrent flows", atOnce)
	s := newSiteOf(t, r, layout{servers: 2, controllers: 1, serverArgs: []string{"--shutdown-delay=3s"}})
	l := s.startLoad(t.Context(), atOnce)
	stop := s.keepReviewing(t.Context())
	l.progress(atOnce)
	for _, server := range s.servers {
		ended := make(chan error, 1)
		go func() { ended <- server.stop() }()
		eventually(t, server.name+" is not ready any more", func(ctx context.Context) (bool, error) {
			ready, err := server.ready(ctx)
			return !ready, err
		})
		if status := s.answers(server); status != http.StatusOK {
			r.broken("%s, which is not ready any more, is asked and answers with HTTP %d", server.name, status)
		}
		must(t, <-ended)
		r.tried("told %s to end, which it did after %d answers to codes and refresh tokens", server.name, l.done.Load())
		l.progress(atOnce)
		must(t, server.start())
		s.isReady(server)
		r.tried("its successor was ready after %d", l.done.Load())
		l.progress(atOnce)
	}
	flows := l.end()
	r.tried("reviewed a token %d times meanwhile", stop())
	if n := r.failures(); n > 0 {
		r.broken("%d requests failed: %s", n, r.answers())
	}
	s.settle(t.Context(), flows)
}

// answers is the status with which a server describes the issuer. Zero means that it does not.
func (s *site) answers(server *replica) int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+server.public+"/.well-known/openid-configuration", http.NoBody)
	must(s.t, err)
	status, _, _, err := send(probes, request)
	if err != nil {
		return 0
	}
	return status
}

// keepReviewing asks about a good token without pause, over connections that stay, until it is stopped. Every answer must be a yes.
func (s *site) keepReviewing(ctx context.Context) (stop func() int) {
	s.t.Helper()
	front := newService(s.t, loopback(s.t), s.servers, func(r *replica) string { return r.review })
	f := s.newFlow()
	must(s.t, f.begin(ctx))
	front.isReady(s.t)
	end, reviews := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { reviews <- n }()
		for ; ; n++ {
			select {
			case <-end:
				return
			default:
			}
			if good, err := s.review(ctx, front.address, f.accesses[0]); err != nil || !good {
				s.report.broken("a good token is reviewed: %t, %v", good, err)
			}
		}
	}()
	return func() int { close(end); return <-reviews }
}

// isReady waits until the service knows that every replica is ready.
func (s *service) isReady(t *testing.T) {
	t.Helper()
	for _, e := range s.endpoints {
		eventually(t, fmt.Sprintf("%s has %s", s.address, e.replica.name), func(context.Context) (bool, error) { return e.ready.Load(), nil })
	}
}
