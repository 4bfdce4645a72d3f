package compile

import (
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// defaultOverlap is how long a client secret outlives its rotation where nothing else is declared.
const defaultOverlap = 24 * time.Hour

// SecretRotation is how old a client secret becomes before it is replaced, zero for one that is replaced only on demand, and how
// long it remains valid after that, zero for an Existing one without a declared overlap.
func SecretRotation(spec *v1alpha1.ClientSecret) (interval, overlap time.Duration) {
	declared := v1alpha1.SecretRotation{}
	if spec.Rotation != nil {
		declared = *spec.Rotation
	}
	if spec.Source == v1alpha1.SecretExisting {
		return 0, durationOr(declared.Overlap, 0)
	}
	interval = durationOr(declared.Interval, 0)
	overlap = durationOr(declared.Overlap, defaultOverlap)
	if interval > 0 {
		overlap = min(overlap, interval)
	}
	return interval, overlap
}
