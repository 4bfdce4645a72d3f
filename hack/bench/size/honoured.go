package size

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/site"
)

const (
	// rounds is how many changes are timed.
	rounds = 200
	// resolution is how often the server is asked meanwhile.
	resolution = time.Millisecond
	// honouredTimeout ends the run: no change may take that long.
	honouredTimeout = 30 * time.Second
	// honouredTarget is the target for the 99th percentile, in milliseconds.
	honouredTarget = 50
)

// lag is how long one change took until a request was answered accordingly: since it was sent to the API server, and since the API server
// had acknowledged it, zero if that was later.
type lag struct{ sent, acknowledged time.Duration }

// honoured changes clients one after another and asks the server all the time whether it knows.
func (b *bench) honoured(ctx context.Context) error {
	for _, change := range []struct {
		name string
		do   func(context.Context, int) (lag, error)
	}{
		{"redirect URI applied → /authorize takes it", b.changeRedirectURI},
		{"digest of a new client's secret in status → /token takes it", b.createClient},
	} {
		var sent, acknowledged []time.Duration
		for round := range rounds {
			l, err := change.do(ctx, round)
			if err != nil {
				return fmt.Errorf("%s: round %d: %w", change.name, round, err)
			}
			sent, acknowledged = append(sent, l.sent), append(acknowledged, l.acknowledged)
		}
		b.note(change.name+", since the write was sent, p50", percentile(sent, 50), "ms")
		b.note(change.name+", since the write was sent, p99", percentile(sent, 99), "ms")
		b.note(change.name+", since the API server's answer, p50", percentile(acknowledged, 50), "ms")
		b.note(change.name+", since the API server's answer, p99", percentile(acknowledged, 99), "ms", atMost(honouredTarget))
	}
	return nil
}

// percentile is in milliseconds: the least value that p percent of them do not exceed.
func percentile(values []time.Duration, p int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return float64(sorted[(len(sorted)*p+99)/100-1]) / float64(time.Millisecond)
}

// timed sends a write while the server is asked, and says how long it took until the answer was yes.
func timed(ctx context.Context, write func(context.Context) error, ask func(context.Context) (bool, error)) (lag, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		at  time.Time
		err error
	}
	asked := make(chan outcome, 1)
	go func() {
		err := site.Poll(ctx, honouredTimeout, resolution, ask)
		asked <- outcome{time.Now(), err}
	}()
	sent := time.Now()
	if err := write(ctx); err != nil {
		return lag{}, err
	}
	acknowledged := time.Now()
	o := <-asked
	return lag{o.at.Sub(sent), max(o.at.Sub(acknowledged), 0)}, o.err
}

// changeRedirectURI gives a client another redirect URI, as its team would.
func (b *bench) changeRedirectURI(ctx context.Context, round int) (lag, error) {
	i := rand.IntN(b.Objects)
	uri := fmt.Sprintf("%s/%d", site.RedirectURI(i), round)
	c := &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: site.NamespaceOf(i), Name: site.NameOf(i)}}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"redirectURIs":[%q]}}`, uri))
	query := url.Values{
		"response_type": {"code"}, "client_id": {site.ClientID(i)}, "redirect_uri": {uri}, "scope": {"openid"}, "state": {"state"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}, // RFC 7636 appendix B
	}
	return timed(ctx,
		func(ctx context.Context) error { return b.Admin.Patch(ctx, c, patch) },
		func(ctx context.Context) (bool, error) {
			return b.ask(ctx, http.MethodGet, "/authorize?"+query.Encode(), nil, http.StatusSeeOther, http.StatusBadRequest)
		})
}

// createClient makes a client, and then writes its status as the controller does: it is that write that is timed.
func (b *bench) createClient(ctx context.Context, round int) (lag, error) {
	n := b.Objects + round
	var c v1alpha1.OAuthClient
	if err := b.Admin.Get(ctx, client.ObjectKey{Namespace: site.SourceNamespace, Name: site.SourceClient}, &c); err != nil {
		return lag{}, err
	}
	c.ObjectMeta = metav1.ObjectMeta{Namespace: site.NamespaceOf(0), Name: site.NameOf(n)}
	c.Spec.Authentication.ClientSecret.SecretName = c.Name + "-oauth"
	c.Spec.Resources[0].Namespace = c.Namespace
	desired := c.Status
	if err := b.Admin.Create(ctx, &c); err != nil {
		return lag{}, err
	}
	published := c.DeepCopy()
	published.Status = desired
	published.Status.ClientID = c.Namespace + "." + c.Name
	b.PublishSecret(published, site.SecretOf(n))
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {site.ScopeName}}
	return timed(ctx,
		func(ctx context.Context) error {
			return b.AsController.Status().Patch(ctx, published, client.MergeFrom(&c))
		},
		func(ctx context.Context) (bool, error) {
			credentials := []string{c.Namespace + "." + c.Name, site.SecretOf(n)}
			return b.ask(ctx, http.MethodPost, "/token", strings.NewReader(form.Encode()), http.StatusOK, http.StatusUnauthorized, credentials...)
		})
}

// ask sends a request to the server, from another address each time, and tells the two answers apart that can be expected.
func (b *bench) ask(ctx context.Context, method, path string, body io.Reader, yes, no int, credentials ...string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", b.Listen.HTTP, path), body)
	if err != nil {
		return false, err
	}
	request.Host = fmt.Sprintf("localhost:%d", b.Listen.HTTP)
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), rand.IntN(256)))
	if body != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if len(credentials) == 2 {
		request.SetBasicAuth(credentials[0], credentials[1])
	}
	response, err := http.DefaultTransport.RoundTrip(request) // which follows no redirect
	if err != nil {
		return false, err
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return false, err
	}
	if response.StatusCode != yes && response.StatusCode != no {
		return false, fmt.Errorf("%s: %s: %.300s", path, response.Status, text)
	}
	return response.StatusCode == yes, nil
}
