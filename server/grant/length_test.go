package grant

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

// A token that is longer than anybody looks at is refused, and one that is issued is good, however much there is in it.
func TestTokensThatWouldBeTooLong(t *testing.T) {
	for _, name := range []string{strings.Repeat("s", 100), strings.Repeat("&", 20)} { // JSON takes six bytes for the other
		f := newFixture(t)
		longest := ""
		for n := range 100 {
			f.withClient(t, registrytest.Nightly, func(c *registry.Client) {
				access := c.Access[0]
				resource := *access.Resource
				resource.Scopes = append(resource.Scopes[:len(resource.Scopes):len(resource.Scopes)], &registry.Scope{Name: fmt.Sprint(name, n)})
				c.Access = []registry.Access{{Resource: &resource, Scopes: resource.Scopes}}
			})
			w := f.redeem(credentialsForm("resource", registrytest.Photos))
			if w.Code != http.StatusOK {
				wantRefused(t, w, oauth.InvalidScope)
				break
			}
			longest = wantIssued(t, w).AccessToken
		}
		if len(longest) < 5<<10 || len(longest) > 8<<10 {
			t.Errorf("of scopes like %s the longest token has %d bytes", name, len(longest))
		}
		if _, err := f.active(longest, registrytest.Photos); err != nil {
			t.Error(err)
		}
	}
}
