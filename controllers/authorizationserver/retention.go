package authorizationserver

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/server/keys"
)

// annotationRetention keeps the retentions on a keys Secret.
const annotationRetention = "oauth.latchkey.io/key-retention"

// retention is how long retired keys are kept. It can grow at once and shrinks late: tokens that were issued with a longer
// lifetime than today's must find their key until they expire.
type retention struct {
	// Keep is in force.
	Keep time.Duration `json:"keep"`
	// Wanted is what the spec asked for when last looked at.
	Wanted time.Duration `json:"wanted"`
	// Until is when Keep may shrink to Wanted; zero when they are equal.
	Until time.Time `json:"until,omitzero"`
}

// retentions are those of signing and of sealing keys.
type retentions struct {
	Signing retention `json:"signing"`
	Sealing retention `json:"sealing"`
}

// retentionsOf reads the annotation. Without a readable one nothing is known of the past, and the zero value grows to what is
// wanted now.
func retentionsOf(secret *corev1.Secret) retentions {
	var r retentions
	if err := json.Unmarshal([]byte(secret.Annotations[annotationRetention]), &r); err != nil {
		return retentions{}
	}
	return r
}

// next are the retentions at the time now, and the schedule with them in the place of what the spec asks for.
func (r retentions) next(s keys.Schedule, now time.Time) (retentions, keys.Schedule) {
	r.Signing, r.Sealing = r.Signing.next(s.Keep, now), r.Sealing.next(s.KeepSealing, now)
	s.Keep, s.KeepSealing = r.Signing.Keep, r.Sealing.Keep
	return r, s
}

func (r retentions) annotate(secret *corev1.Secret) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationRetention, string(text))
	return nil
}

// next is the retention at the time now, when the spec wants the given one.
func (r retention) next(wanted time.Duration, now time.Time) retention {
	if wanted >= r.Keep {
		return retention{Keep: wanted, Wanted: wanted}
	}
	if wanted < r.Wanted {
		r.Until = now.Add(r.Keep).UTC().Truncate(time.Second)
	}
	if !now.Before(r.Until) {
		return retention{Keep: wanted, Wanted: wanted}
	}
	r.Wanted = wanted
	return r
}
