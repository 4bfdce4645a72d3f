package outbound

import "testing"

// The proxy of the environment is not ours: it would connect where we may not. (net/http reads the environment once in a
// process, so that no request can show it.)
func TestNoProxy(t *testing.T) {
	c := Config{}
	if c.transport(newGuard(nil).https).Proxy != nil {
		t.Error("there may be a proxy")
	}
}
