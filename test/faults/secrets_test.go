package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// slow is what each call takes longer in an API server that is overloaded or far away.
const slow = 300 * time.Millisecond

// failing are the ways in which an API server fails a controller, for one namespace. Each is over after some requests.
func failing(c *controller, namespace string) map[string]func() *apiproxy.Injection {
	in := func(m apiproxy.Match) apiproxy.Match { return m.In(namespace) }
	inject := func(m apiproxy.Match, times int, fault apiproxy.Fault) func() *apiproxy.Injection {
		return func() *apiproxy.Injection { return c.Inject(in(m), times, fault) }
	}
	return map[string]func() *apiproxy.Injection{
		"replies to writes are lost":         inject(apiproxy.Writing, 3, apiproxy.LoseReply()),
		"the reply about status is lost":     inject(apiproxy.To("patch", "oauthclients/status"), 2, apiproxy.LoseReply()),
		"conflicts on status":                inject(apiproxy.To("patch", "oauthclients/status"), 5, apiproxy.Conflict()),
		"conflicts on every write":           inject(apiproxy.Writing, 5, apiproxy.Conflict()),
		"429 on every call":                  inject(apiproxy.Calls, 3, apiproxy.TooManyRequests()),
		"500 on every call":                  inject(apiproxy.Calls, 10, apiproxy.InternalError()),
		"connections break on the way there": inject(apiproxy.Calls, 10, apiproxy.LoseRequest()),
		"every call is slow":                 inject(apiproxy.Calls, -1, apiproxy.Delay(slow)),
	}
}

// However the API server fails while a client's Secret is made and then replaced: there is one Secret, one client secret is
// handed out for the creation and one for the rotation, and at no moment is what the Secret holds refused.
func TestSecretsWhileTheAPIServerFails(t *testing.T) {
	t.Parallel()
	c := shared(t)
	for name := range failing(c, "") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newTeam(t)
			seen, fails := n.watch(), failing(c, n.namespace)[name]
			fault := fails()
			app := n.declare()
			ready(t, app)
			n.honoured()
			if fault.Met() == 0 {
				t.Error("the fault met no request")
			}
			fault.Remove()
			seen.saw(t, 1)

			fault = fails()
			stop := n.pollsWhileRotating()
			rotate(t, app, "once")
			stop()
			fault.Remove()
			ready(t, app)
			seen.saw(t, 2)
			if len(app.Status.Secrets) != 2 {
				t.Errorf("status.secrets: %+v", app.Status.Secrets)
			}
		})
	}
}

// rotate asks for a rotation, and waits until status says that it is done.
func rotate(t *testing.T, c *v1alpha1.OAuthClient, request string) {
	t.Helper()
	edit(t, c, func(c *v1alpha1.OAuthClient) { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: request} })
	rotated(t, c, request)
}

func rotated(t *testing.T, c *v1alpha1.OAuthClient, request string) {
	t.Helper()
	eventually(t, "the rotation is done", func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(c), c)
		return c.Status.LastHandledRotation == request, err
	})
}

// pollsWhileRotating asks for tokens with what the Secret holds, all the time until it is stopped. No request may be refused.
func (n *team) pollsWhileRotating() (stop func()) {
	ctx, cancel := context.WithCancel(n.t.Context())
	var (
		done     sync.WaitGroup
		refusals []string
		sent     int
	)
	done.Go(func() {
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			sent++
			if err := n.asks(ctx); err != nil && ctx.Err() == nil {
				refusals = append(refusals, fmt.Sprintf("%s: %v", time.Now().Format(time.StampMilli), err))
			}
		}
	})
	return func() {
		n.t.Helper()
		cancel()
		done.Wait()
		if sent == 0 || len(refusals) > 0 {
			n.t.Errorf("of %d requests %d were refused: %v", sent, len(refusals), refusals[:min(3, len(refusals))])
		}
	}
}

// A controller is killed after each of its writes, before it has the reply, and another one goes on.
func TestControllerIsKilledAfterEveryWrite(t *testing.T) {
	c := startController(t)
	n := newTeam(t)
	seen := n.watch()
	dying := c.Inject(apiproxy.Match(apiproxy.Writing).In(n.namespace), -1, apiproxy.Then(func() {
		if err := c.kill(); err != nil {
			t.Error(err)
		}
	}))
	app := n.declare()
	ready(t, app)
	n.honoured()
	stop := n.pollsWhileRotating()
	rotate(t, app, "once")
	stop()
	eventually(t, "everything is written", func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(app), app)
		return len(app.Status.Secrets) == 2, err
	})
	dying.Remove()
	if n := dying.Met(); n < 5 { // Secret, status; successor, status; handed out, status
		t.Errorf("the controller was killed %d times only", n)
	}
	seen.saw(t, 2)
	ready(t, app)
}

// kube-apiserver restarts while twenty clients are being made.
func TestAPIServerRestartsInMidReconcile(t *testing.T) {
	c := startController(t)
	old := newTeam(t)
	ready(t, old.declare())
	old.honoured()
	begun := make(chan struct{}, 1)
	c.Inject(apiproxy.To("create", "secrets"), 1, apiproxy.Then(func() { begun <- struct{}{} }))
	var teams []*team
	for range 20 {
		n := newTeam(t)
		n.declare()
		teams = append(teams, n)
	}
	value, err := old.secret(t.Context())
	must(t, err)
	<-begun
	must(t, cluster.StopAPIServer())
	if err := old.asksWith(t.Context(), string(value.Data["client-secret"])); err != nil {
		t.Errorf("a client that is known, while kube-apiserver is away: %v", err)
	}
	must(t, cluster.StartAPIServer(t.Context()))
	for _, n := range teams {
		ready(t, n.client())
		n.honoured()
		n.holdsOneSecret()
	}
	ready(t, old.client())
	old.honoured()
}

// A call that the API server never answers keeps a worker for a bounded time, and then the work is done.
func TestCallThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	c := shared(t)
	n := newTeam(t)
	fault := c.Inject(apiproxy.To("create", "secrets").In(n.namespace), 1, apiproxy.Hold(nil))
	app := n.declare()
	ready(t, app)
	n.honoured()
	if fault.Met() == 0 {
		t.Error("every call was answered")
	}
}
