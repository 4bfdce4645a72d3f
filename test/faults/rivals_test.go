package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/test/apiproxy"
)

// rivals is how many clients two controllers are at odds about.
const rivals = 6

// looks is how often both controllers are made to look at everything again.
const looks = 10

// Two controllers act at the same time, as when one has lost its lease and does not know it yet: they come to the same end, with one
// client secret for a creation and one for a rotation, and when there is nothing left to do neither writes.
func TestTwoControllersAtOnce(t *testing.T) {
	one, other := startController(t), startController(t)
	var late sync.WaitGroup
	late.Go(func() { t.Run("one wakes up late", one.wakesUpLate) })
	var (
		teams []*team
		seen  []*witness
		stop  []func()
	)
	for range rivals {
		n := newTeam(t)
		teams, seen = append(teams, n), append(seen, n.watch())
		n.declare()
	}
	for _, n := range teams {
		app := n.client()
		ready(t, app)
		n.honoured()
		stop = append(stop, n.pollsWhileRotating())
		edit(t, app, func(c *v1alpha1.OAuthClient) { c.Annotations = map[string]string{v1alpha1.AnnotationRotate: "once"} })
	}
	for i, n := range teams {
		rotated(t, n.client(), "once")
		stop[i]()
		ready(t, n.client())
		seen[i].saw(t, 2)
	}
	late.Wait()
	for _, c := range []*controller{one, other} {
		c.doesNothing(t, teams)
	}
}

// doesNothing has the controller look at every team's objects again and again, and wants it not to write. It is known to have looked
// when it has read the Secret.
func (c *controller) doesNothing(t *testing.T, teams []*team) {
	t.Helper()
	for _, n := range teams {
		reads := apiproxy.To("get", "secrets").In(n.namespace)
		writes := apiproxy.Match(apiproxy.Writing).In(n.namespace)
		before := len(c.Requests(writes))
		for i := range looks {
			read := len(c.Requests(reads))
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n.namespace}}
			edit(t, ns, func(ns *corev1.Namespace) {
				metav1.SetMetaDataLabel(&ns.ObjectMeta, "look", fmt.Sprint(c.present().PID(), "-", i))
			})
			eventually(t, "the controller looks again", func(context.Context) (bool, error) { return len(c.Requests(reads)) > read, nil })
		}
		if all := c.Requests(writes); len(all) > before {
			t.Errorf("%d writes where nothing was to be done: %v", len(all)-before, all[before:])
		}
	}
}

// wakesUpLate: a controller is held up in the middle of its writes, while another takes over and is done. What it still has on its way is
// refused, and nothing of the other's work is undone.
func (c *controller) wakesUpLate(t *testing.T) {
	n := newTeam(t)
	seen := n.watch()
	hold := func() (release func()) {
		held := make(chan struct{})
		fault := c.Inject(apiproxy.Match(apiproxy.Writing).In(n.namespace), -1, apiproxy.Hold(held))
		return func() {
			if fault.Met() == 0 {
				t.Error("the late controller was not about to write")
			}
			fault.Remove()
			close(held)
		}
	}
	blocked := func(before int) {
		eventually(t, "the late controller is about to write", func(context.Context) (bool, error) {
			return len(c.Requests(apiproxy.Match(apiproxy.Writing).In(n.namespace))) > before, nil
		})
	}
	release := hold()
	app := n.declare()
	blocked(0)
	ready(t, app)
	n.honoured()
	release()
	stop := n.pollsWhileRotating()

	before := len(c.Requests(apiproxy.Match(apiproxy.Writing).In(n.namespace)))
	release = hold()
	edit(t, app, func(app *v1alpha1.OAuthClient) {
		app.Annotations = map[string]string{v1alpha1.AnnotationRotate: "once"}
	})
	blocked(before)
	rotated(t, app, "once")
	release()
	c.doesNothing(t, []*team{n})
	stop()
	ready(t, app)
	seen.saw(t, 2)
	must(t, api.Get(t.Context(), client.ObjectKeyFromObject(app), app))
	if len(app.Status.Secrets) != 2 {
		t.Errorf("status.secrets: %+v", app.Status.Secrets)
	}
}

// changes is how often the flapping objects change.
const changes = 200

// processCost is what a process holds and uses.
type processCost struct {
	goroutines, heap, cpu float64
}

func cost(t *testing.T, health string) processCost {
	t.Helper()
	text, err := fetch(t.Context(), health+"/metrics")
	must(t, err)
	return processCost{metric(t, text, "go_goroutines"), metric(t, text, "go_memstats_heap_inuse_bytes"), metric(t, text, "process_cpu_seconds_total")}
}

// An OAuthClient and a ResourceServer that change, or go and come, 200 times as quickly as can be: what was applied last is what
// holds, the controller writes no more than twice for each change, and nothing is left running.
func TestFlappingObjects(t *testing.T) {
	c := startController(t)
	n := newTeam(t)
	app := n.declare()
	ready(t, app)
	n.honoured()
	controllerBefore, serverBefore := cost(t, c.health), cost(t, serverHealth)
	writes := apiproxy.Match(apiproxy.Writing).In(n.namespace)
	before := len(c.Requests(writes))

	resource := n.resource()
	for i := range changes {
		edit(t, app, func(c *v1alpha1.OAuthClient) { c.Spec.DisplayName = fmt.Sprint("App ", i) })
		edit(t, resource, func(r *v1alpha1.ResourceServer) { r.Spec.DisplayName = fmt.Sprint("API ", i) })
	}
	ready(t, app)
	n.honoured()
	if w := len(c.Requests(writes)) - before; w > 2*2*changes {
		t.Errorf("%d writes for %d changes", w, 2*changes)
	} else {
		t.Logf("%d writes for %d changes", w, 2*changes)
	}
	before = len(c.Requests(writes))
	for range changes {
		n.delete(n.client())
		n.delete(n.resource())
		n.make(n.resource())
		app = n.declare()
	}
	ready(t, app)
	n.honoured()
	eventually(t, "the Secret is the last client's", func(ctx context.Context) (bool, error) {
		s, err := n.secret(ctx)
		return err == nil && metav1.IsControlledBy(s, app), client.IgnoreNotFound(err)
	})
	n.holdsOneSecret()
	if w := len(c.Requests(writes)) - before; w > 6*changes {
		t.Errorf("%d writes for %d deletions and creations", w, 2*changes)
	} else {
		t.Logf("%d writes for %d deletions and creations", w, 2*changes)
	}
	c.staysQuiet(t, n)
	settled(t, "controller", c.health, controllerBefore)
	settled(t, "server", serverHealth, serverBefore)
}

// settled waits until a process holds about what it held before, and is idle: it used a tenth of a processor at most for a second.
func settled(t *testing.T, what, health string, before processCost) {
	t.Helper()
	last, at := cost(t, health), time.Now()
	var now processCost
	defer func() {
		t.Logf("%s: before %+v, now %+v", what, before, now)
	}()
	eventually(t, "the "+what+" is idle, and has left nothing behind", func(context.Context) (bool, error) {
		if time.Since(at) < time.Second {
			return false, nil
		}
		now = cost(t, health)
		idle := now.cpu-last.cpu < time.Since(at).Seconds()/10
		last, at = now, time.Now()
		return idle && now.goroutines < before.goroutines+10 && now.heap < before.heap+32<<20, nil
	})
}
