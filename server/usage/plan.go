package usage

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// maxSkew is by how much the clock of another replica may be ahead. A time that is further in the future was written by nobody who
// knew, and is not believed: it would hide every use until then.
const maxSkew = 5 * time.Minute

// plan is what status.secretUsage of a client should be, and how urgent that is.
type plan struct {
	usage []v1alpha1.ClientSecretUsage
	// told is what status says of each secret that there is, in Unix seconds; zero where it says nothing that can be believed.
	told map[string]int64
	// wrong: status has entries that should not be there. news: a use is known that status does not tell. due: and should by now.
	wrong, news, due bool
}

func (p *plan) isDue() bool  { return p.wrong || p.due }
func (p *plan) isNews() bool { return p.wrong || p.news }

// planFor compares what the status of a client tells with what is known here: last says when a secret was used, in Unix seconds. Of
// each secret that there is now, the later time stays, so that no time goes back. It is due where status says nothing of a secret, or
// is behind by more than after, in seconds.
func planFor(c *v1alpha1.OAuthClient, last func(id string) int64, now time.Time, after int64) *plan {
	p := &plan{told: map[string]int64{}}
	for _, s := range c.Status.Secrets {
		p.told[s.ID] = 0
	}
	for _, u := range c.Status.SecretUsage {
		at := u.LastUsedTime.Unix()
		if _, listed := p.told[u.ID]; !listed || at <= 0 || u.LastUsedTime.After(now.Add(maxSkew)) {
			p.wrong = true
			continue
		}
		p.told[u.ID] = at
	}
	for _, s := range c.Status.Secrets {
		told, known := p.told[s.ID], last(s.ID)
		if known > told {
			p.news = true
			p.due = p.due || told == 0 || now.Unix() >= told+after
		}
		if at := max(told, known); at > 0 {
			p.usage = append(p.usage, v1alpha1.ClientSecretUsage{ID: s.ID, LastUsedTime: metav1.Unix(at, 0)})
		}
	}
	return p
}
