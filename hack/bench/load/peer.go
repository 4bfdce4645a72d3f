package load

import (
	"context"
	"encoding/base64"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/latchkey-io/latchkey/hack/bench/peers"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// peer is node-oidc-provider at client_credentials for a resource, if it is to take part.
func (b *bench) peer(ctx context.Context, resource string) ([]rounds.Contestant, error) {
	if !b.Peers {
		return nil, nil
	}
	provider, err := peers.InstallOIDCProvider(ctx, b.root)
	if err != nil {
		return nil, err
	}
	ports, err := site.FreePorts(1)
	if err != nil {
		return nil, err
	}
	o := provider.Options(ports[0], filepath.Join(b.Dir, "oidc-provider-"+strings.ReplaceAll(resource, ":", "-")+".log"))
	address := pinned.Loopback(ports[0])
	if _, err := b.programs.Start(ctx, o, address, pinned.MeasuredCore); err != nil {
		return nil, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {peers.Scope}}
	credential := base64.StdEncoding.EncodeToString([]byte(peers.ClientID + ":" + peers.ClientSecret))
	w := wire{b.post(request{"/token", formType, "Basic " + credential, form.Encode()})}
	return []rounds.Contestant{{Name: "node-oidc-provider " + provider.Version, Dial: dial(address, nil, &w, issued)}}, nil
}
