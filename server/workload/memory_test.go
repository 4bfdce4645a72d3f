package workload

import (
	"fmt"
	"testing"
	"time"
)

// Row: anonymous flood: of answers about callers, and about what they may, no more than there is room for are kept.
func TestAnswersAreBounded(t *testing.T) {
	c := NewCallers(nil, nil, func(string) bool { return false }, time.Now)
	for i := range 2 * cacheSize {
		c.identities.Add(fmt.Sprint(i), identity{}, time.Hour)
		c.permissions.Add(fmt.Sprint(i), true, time.Hour)
	}
	if identities, permissions := len(c.identities.Keys()), len(c.permissions.Keys()); identities != cacheSize || permissions != cacheSize {
		t.Errorf("%d and %d are kept", identities, permissions)
	}
}
