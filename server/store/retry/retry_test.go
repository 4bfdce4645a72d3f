package retry

import "testing"

// Neither what others did first nor what is not known goes on for ever, and neither takes from the other.
func TestBound(t *testing.T) {
	for name, test := range map[string]struct {
		conflict bool
		want     int
	}{
		"conflicts": {true, conflicts},
		"attempts":  {false, attempts},
	} {
		t.Run(name, func(t *testing.T) {
			var b Bound
			for range 3 {
				b.Count(!test.conflict)
			}
			looks := 0
			for ; b.Left(); b.Count(test.conflict) {
				looks++
			}
			if looks != test.want {
				t.Errorf("%d looks, want %d", looks, test.want)
			}
		})
	}
}
