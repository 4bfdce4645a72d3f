package usage

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/registry"
)

// usedAt fails unless status says of each secret, and of no other, that it was used then.
func usedAt(t *testing.T, c *v1alpha1.OAuthClient, want map[string]time.Time) {
	t.Helper()
	got := read(t, c).Status.SecretUsage
	if len(got) != len(want) {
		t.Fatalf("status.secretUsage: %+v, want %v", got, want)
	}
	for _, u := range got {
		if at, ok := want[u.ID]; !ok || u.LastUsedTime.Unix() != at.Unix() {
			t.Errorf("%s was used at %v, want %v", u.ID, u.LastUsedTime, at)
		}
	}
}

// use notes many uses, from several goroutines, one of them now.
func (r *replica) use(c *registry.Client, id string, times int) time.Time {
	now := r.Now()
	var requests sync.WaitGroup
	for range 4 {
		requests.Go(func() {
			for i := range times / 4 {
				r.Used(c, id, now.Add(-time.Duration(i%60)*time.Second))
			}
		})
	}
	requests.Wait()
	r.Used(c, id, now)
	return now
}

func TestOneWriteAnHourHoweverManyUses(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one", "two")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	first := r.use(shop, "one", 5000)
	r.round(t.Context())
	usedAt(t, object, map[string]time.Time{"one": first})

	for range 59 {
		c.advance(time.Minute)
		r.caughtUp(t, object)
		r.use(shop, "one", 100)
		r.round(t.Context())
	}
	usedAt(t, object, map[string]time.Time{"one": first})
	if n := r.patches.Load(); n != 1 {
		t.Fatalf("%d writes within an hour", n)
	}
	c.advance(8 * time.Minute) // an hour, and the tenth of it that is chance
	r.round(t.Context())
	usedAt(t, object, map[string]time.Time{"one": first.Add(59 * time.Minute)}) // of which nothing was lost
	r.caughtUp(t, object)
	for range 5 {
		c.advance(24 * time.Hour)
		r.round(t.Context())
	}
	if n := r.patches.Load(); n != 2 || r.written(Written) != 2 {
		t.Errorf("%d writes for two hours, and days without any use", n)
	}
}

// A second secret is told of at once, and the first one's time comes with it.
func TestBothSecretsOfARotation(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "old")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.use(shop, "old", 1)
	r.round(t.Context())
	c.advance(time.Minute)
	change(t, object, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = secretsOf("new", "old") })
	r.caughtUp(t, object)
	old := r.use(shop, "old", 1)
	c.advance(time.Second)
	fresh := r.use(shop, "new", 1)
	r.round(t.Context())
	usedAt(t, object, map[string]time.Time{"new": fresh, "old": old})
}

func TestSecretThatIsGoneIsNotInUsage(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "new", "old")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	at := r.use(shop, "new", 1)
	r.use(shop, "old", 1)
	r.round(t.Context())
	change(t, object, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = secretsOf("new") })
	r.caughtUp(t, object)
	r.use(shop, "old", 1) // of which a request had the snapshot before
	eventually(t, "the entry is gone", func(ctx context.Context) (bool, error) {
		r.round(ctx)
		return len(read(t, object).Status.SecretUsage) == 1, nil
	})
	usedAt(t, object, map[string]time.Time{"new": at})
	change(t, object, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = nil })
	r.caughtUp(t, object)
	r.round(t.Context())
	usedAt(t, object, nil)
}

// Replicas that are used alike write as much together as one alone.
func TestReplicasWriteOnceTogether(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	replicas := []*replica{newReplica(t, c), newReplica(t, c), newReplica(t, c)}
	for hour := range 3 {
		var latest time.Time
		for _, r := range replicas {
			r.caughtUp(t, object)
			c.advance(time.Second)
			latest = r.use(shop, "one", 10)
		}
		if hour == 0 {
			latest = latest.Add(-2 * time.Second) // the first replica writes, and knows nothing of the others' uses
		}
		for i, r := range replicas {
			if hour > 0 {
				r = replicas[len(replicas)-1-i] // the last one knows most, and is the first to write
			}
			r.caughtUp(t, object)
			r.round(t.Context())
		}
		usedAt(t, object, map[string]time.Time{"one": latest})
		c.advance(2 * time.Hour)
	}
	total := int64(0)
	for _, r := range replicas {
		total += r.patches.Load()
	}
	if total != 3 {
		t.Errorf("%d writes in three times of use", total)
	}
}

// Replicas that run into each other lose nothing and never set a time back.
func TestRacingReplicasNeverSetATimeBack(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one", "two")
	replicas := []*replica{newReplica(t, c), newReplica(t, c)}
	for _, r := range replicas {
		r.caughtUp(t, object)
	}
	var before v1alpha1.OAuthClientStatus
	for range 20 {
		c.advance(2 * time.Hour)
		var racing sync.WaitGroup
		for _, r := range replicas {
			c.advance(time.Minute)
			r.use(shop, "one", 1)
			r.use(shop, "two", 1)
			racing.Go(func() { r.round(t.Context()) })
		}
		racing.Wait()
		for _, u := range read(t, object).Status.SecretUsage {
			for _, b := range before.SecretUsage {
				if b.ID == u.ID && u.LastUsedTime.Before(&b.LastUsedTime) {
					t.Fatalf("%s: %v after %v", u.ID, u.LastUsedTime, b.LastUsedTime)
				}
			}
		}
		before = object.Status
	}
	if len(before.SecretUsage) != 2 {
		t.Errorf("%+v", before.SecretUsage)
	}
}

// A replica whose cache is behind does not overwrite what another has written.
func TestWriteIsBoundToWhatWasSeen(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.use(shop, "one", 1)
	later := c.now().Add(time.Minute)
	quicker := func() {
		change(t, object, func(s *v1alpha1.OAuthClientStatus) {
			s.SecretUsage = []v1alpha1.ClientSecretUsage{usageOf("one", later)}
		})
	}
	r.before.Store(&quicker)
	r.round(t.Context())
	usedAt(t, object, map[string]time.Time{"one": later})
	if r.written(Conflicted) != 1 || r.log.count("\n") != 0 {
		t.Errorf("%v", r.results)
	}
	r.caughtUp(t, object)
	r.round(t.Context())
	if r.patches.Load() != 1 {
		t.Error("written although status tells more")
	}
}

// Security: a tenant who may write status, whatever field manager and verb it uses, neither stops the times nor adds secrets.
func TestTamperedUsageIsCorrected(t *testing.T) {
	future := time.Now().AddDate(500, 0, 0)
	for name, tamper := range map[string]func(*testing.T, *v1alpha1.OAuthClient){
		"far future": func(t *testing.T, c *v1alpha1.OAuthClient) {
			change(t, c, func(s *v1alpha1.OAuthClientStatus) { s.SecretUsage[0].LastUsedTime = metav1.NewTime(future) })
		},
		"secrets that are none": func(t *testing.T, c *v1alpha1.OAuthClient) {
			change(t, c, func(s *v1alpha1.OAuthClientStatus) {
				for _, id := range []string{"a", "b", "c", "d", "e", "f", "g"} {
					s.SecretUsage = append(s.SecretUsage, usageOf(id, time.Now()))
				}
			})
		},
		"removed": func(t *testing.T, c *v1alpha1.OAuthClient) {
			change(t, c, func(s *v1alpha1.OAuthClientStatus) { s.SecretUsage = nil })
		},
		"set back": func(t *testing.T, c *v1alpha1.OAuthClient) {
			change(t, c, func(s *v1alpha1.OAuthClientStatus) { s.SecretUsage[0].LastUsedTime = metav1.Unix(1, 0) })
		},
		"owned by another manager": func(t *testing.T, c *v1alpha1.OAuthClient) {
			manifest := `{apiVersion: oauth.latchkey.io/v1alpha1, kind: OAuthClient, metadata: {name: ` + c.Name + `, namespace: ` + c.Namespace + `},
  status: {secretUsage: [{id: one, lastUsedTime: "2525-01-01T00:00:00Z"}, {id: phantom, lastUsedTime: "2025-01-01T00:00:00Z"}]}}`
			if _, _, err := cluster.KubectlInput(t.Context(), strings.NewReader(manifest), "apply", "--server-side", "--force-conflicts",
				"--field-manager=mallory", "--subresource=status", "-f", "-"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			object, shop := newClient(t, "one")
			r, another := newReplica(t, c), newReplica(t, c) // one that knows of the use, and one that does not
			r.caughtUp(t, object)
			at := r.use(shop, "one", 1)
			r.round(t.Context())
			usedAt(t, object, map[string]time.Time{"one": at})
			for range 3 {
				tamper(t, object)
				for _, each := range []*replica{another, r} {
					each.caughtUp(t, object)
					each.round(t.Context())
				}
				usedAt(t, object, map[string]time.Time{"one": at})
			}
			c.advance(2 * time.Hour)
			r.caughtUp(t, object)
			at = r.use(shop, "one", 1)
			r.round(t.Context())
			usedAt(t, object, map[string]time.Time{"one": at})
		})
	}
}

// The list is no larger than that of the secrets: the API server takes no more.
func TestHugeUsageIsRefused(t *testing.T) {
	object, _ := newClient(t, "one")
	many := func(n int) (out []v1alpha1.ClientSecretUsage) {
		for i := range n {
			out = append(out, usageOf(fmt.Sprint(i), noon))
		}
		return out
	}
	for name, usage := range map[string][]v1alpha1.ClientSecretUsage{
		"nine":      many(9),
		"1,000":     many(1000),
		"twice":     {usageOf("one", noon), usageOf("one", noon)},
		"a long id": {usageOf(strings.Repeat("x", 65), noon)},
		"no id":     {usageOf("", noon)},
		"no time":   {{ID: "one"}},
	} {
		before := read(t, object).DeepCopy()
		object.Status.SecretUsage = usage
		err := admin.Status().Patch(t.Context(), object, client.MergeFrom(before))
		if !apierrors.IsInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the client that had the name before did is nobody's.
func TestClientCreatedAgainHasNotBeenSeen(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	r := newReplica(t, c)
	r.caughtUp(t, object)
	r.use(shop, "one", 1)
	if err := admin.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	again, _ := newClientIn(t, object.Namespace, "one")
	r.caughtUp(t, again)
	r.round(t.Context())
	usedAt(t, again, nil)
	r.use(shop, "one", 1) // a request that began before
	r.round(t.Context())
	usedAt(t, again, nil)
	if n := r.memory.size.Load(); n != 0 {
		t.Errorf("%d uses of what is gone are remembered", n)
	}
}

// Whole replicas, as processes run them.
func TestRunningReplicas(t *testing.T) {
	c := newClock()
	object, shop := newClient(t, "one")
	var replicas []*replica
	for range 2 {
		r := newReplica(t, c)
		background(t, r.Start)
		replicas = append(replicas, r)
	}
	for range 3 {
		c.advance(2 * time.Hour)
		for _, r := range replicas {
			r.use(shop, "one", 1000)
		}
		eventually(t, "the use is told", func(context.Context) (bool, error) {
			usage := read(t, object).Status.SecretUsage
			return len(usage) == 1 && usage[0].LastUsedTime.Unix() == c.now().Unix(), nil
		})
	}
	change(t, object, func(s *v1alpha1.OAuthClientStatus) { s.Secrets = nil })
	eventually(t, "the entry is gone", func(context.Context) (bool, error) { return len(read(t, object).Status.SecretUsage) == 0, nil })
	writes := func() int { return replicas[0].written(Written) + replicas[1].written(Written) }
	eventually(t, "the writes are counted", func(context.Context) (bool, error) { return writes() >= 4, nil }) // a moment after they are seen
	if n := writes(); n != 4 {
		t.Errorf("%d writes", n)
	}
}
