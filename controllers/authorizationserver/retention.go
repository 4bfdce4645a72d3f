package authorizationserver

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// annotationRetention keeps a retention on a keys Secret.
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

// retentionOf reads the annotation. Without a readable one nothing is known of the past, and the zero value grows to what is
// wanted now.
func retentionOf(secret *corev1.Secret) retention {
	var r retention
	if err := json.Unmarshal([]byte(secret.Annotations[annotationRetention]), &r); err != nil {
		return retention{}
	}
	return r
}

func (r retention) annotate(secret *corev1.Secret) error {
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
