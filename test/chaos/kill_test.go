package chaos

import "testing"

// Either server is killed in the middle of many flows, and started again. Clients try again at whoever is there.
func TestServersAreKilled(t *testing.T) {
	r := newReport(t, "kill -9 of either server in the middle of %d concurrent flows", *flows)
	s := newSite(t, r, 2)
	l := s.startLoad(t.Context(), *flows)
	l.progress(*flows / 4) // codes are being redeemed
	for _, server := range s.servers {
		must(t, server.kill())
		r.tried("killed %s after %d answers to codes and refresh tokens", server.name, l.done.Load())
		l.progress(*flows) // by the other one
		must(t, server.start())
		s.isReady(server)
		r.tried("%s was back after %d", server.name, l.done.Load())
		l.progress(*flows)
	}
	flows := l.end()
	if r.failures() == 0 {
		r.broken("no request met the fault")
	}
	s.settle(t.Context(), flows)
}
