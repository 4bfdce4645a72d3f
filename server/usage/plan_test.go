package usage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// secretsOf are entries of status.secrets.
func secretsOf(ids ...string) []v1alpha1.ClientSecretStatus {
	var out []v1alpha1.ClientSecretStatus
	for _, id := range ids {
		out = append(out, v1alpha1.ClientSecretStatus{ID: id, Digest: "digest", CreatedAt: metav1.NewTime(noon)})
	}
	return out
}

func usageOf(id string, at time.Time) v1alpha1.ClientSecretUsage {
	return v1alpha1.ClientSecretUsage{ID: id, LastUsedTime: metav1.NewTime(at)}
}

// told writes status.secretUsage as id@minutes from noon.
func told(usage []v1alpha1.ClientSecretUsage) string {
	var out []string
	for _, u := range usage {
		out = append(out, fmt.Sprintf("%s@%v", u.ID, u.LastUsedTime.Sub(noon).Minutes()))
	}
	return strings.Join(out, " ")
}

func TestPlan(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, tc := range map[string]struct {
		secrets []string
		status  []v1alpha1.ClientSecretUsage
		known   map[string]time.Time
		want    string
		due     bool
		news    bool
	}{
		"nothing is known":                     {secrets: []string{"a"}},
		"the first use":                        {secrets: []string{"a"}, known: map[string]time.Time{"a": at(-1)}, want: "a@-1", due: true, news: true},
		"within the hour":                      {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-59))}, known: map[string]time.Time{"a": at(0)}, want: "a@0", news: true},
		"an hour behind":                       {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-60))}, known: map[string]time.Time{"a": at(0)}, want: "a@0", due: true, news: true},
		"old, and not used since":              {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-600))}, known: map[string]time.Time{"a": at(-600)}, want: "a@-600"},
		"another replica knows more":           {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-600))}, known: map[string]time.Time{"a": at(-700)}, want: "a@-600"},
		"what is not known here stays":         {secrets: []string{"a", "b"}, status: []v1alpha1.ClientSecretUsage{usageOf("b", at(-300))}, known: map[string]time.Time{"a": at(0)}, want: "a@0 b@-300", due: true, news: true},
		"no time goes back":                    {secrets: []string{"a", "b"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-5)), usageOf("b", at(-300))}, known: map[string]time.Time{"a": at(-90), "b": at(0)}, want: "a@-5 b@0", due: true, news: true},
		"a secret that is gone":                {secrets: []string{"b"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-5)), usageOf("b", at(-5))}, want: "b@-5", due: true, news: true},
		"use of a secret that is gone":         {secrets: []string{"b"}, known: map[string]time.Time{"a": at(0)}},
		"the last secret is gone":              {status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-5))}, due: true, news: true},
		"the clock of another replica":         {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(5))}, known: map[string]time.Time{"a": at(0)}, want: "a@5"},
		"the far future, known here":           {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(6))}, known: map[string]time.Time{"a": at(-7)}, want: "a@-7", due: true, news: true},
		"the far future, not known here":       {secrets: []string{"a", "b"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(1e7)), usageOf("b", at(-1))}, want: "b@-1", due: true, news: true},
		"before there were computers":          {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))}, due: true, news: true},
		"removed by hand":                      {secrets: []string{"a", "b"}, status: []v1alpha1.ClientSecretUsage{usageOf("b", at(-1))}, known: map[string]time.Time{"a": at(-500), "b": at(-1)}, want: "a@-500 b@-1", due: true, news: true},
		"set back by hand":                     {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-5000))}, known: map[string]time.Time{"a": at(-500)}, want: "a@-500", due: true, news: true},
		"one is due, the other comes with it":  {secrets: []string{"a", "b"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-61)), usageOf("b", at(-10))}, known: map[string]time.Time{"a": at(0), "b": at(0)}, want: "a@0 b@0", due: true, news: true},
		"listed in the order of the secrets":   {secrets: []string{"b", "a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-1)), usageOf("b", at(-1))}, want: "b@-1 a@-1"},
		"status is whole seconds, uses aren't": {secrets: []string{"a"}, status: []v1alpha1.ClientSecretUsage{usageOf("a", at(-90))}, known: map[string]time.Time{"a": at(-90).Add(999 * time.Millisecond)}, want: "a@-90"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &v1alpha1.OAuthClient{Status: v1alpha1.OAuthClientStatus{Secrets: secretsOf(tc.secrets...), SecretUsage: tc.status}}
			p := planFor(c, func(id string) int64 {
				if used, ok := tc.known[id]; ok {
					return used.Unix()
				}
				return 0
			}, noon, 3600)
			if got := told(p.usage); got != tc.want || p.isDue() != tc.due || p.isNews() != tc.news {
				t.Errorf("got %q, due %t, news %t; want %q, %t, %t", got, p.isDue(), p.isNews(), tc.want, tc.due, tc.news)
			}
		})
	}
}
