package authorizationserver

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestRetentionGrowsAtOnceAndShrinksLate(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var r retention
	for _, step := range []struct {
		at     time.Duration
		wanted time.Duration
		keep   time.Duration
		why    string
	}{
		{0, 24 * time.Hour, 24 * time.Hour, "the first one"},
		{time.Hour, time.Hour, 24 * time.Hour, "shorter: what was issued lives on"},
		{24 * time.Hour, time.Hour, 24 * time.Hour, "what was issued within the first hour does"},
		{25 * time.Hour, time.Hour, time.Hour, "nothing of it is left"},
		{26 * time.Hour, 48 * time.Hour, 48 * time.Hour, "longer, at once"},
		{27 * time.Hour, 12 * time.Hour, 48 * time.Hour, "shorter"},
		{70 * time.Hour, time.Hour, 48 * time.Hour, "shorter again: 12 hours may have been issued until now"},
		{76 * time.Hour, time.Hour, 48 * time.Hour, "and live on"},
		{118 * time.Hour, time.Hour, time.Hour, "nothing of it is left"},
	} {
		if r = r.next(step.wanted, start.Add(step.at)); r.Keep != step.keep {
			t.Fatalf("after %v: %v, want %v (%s)", step.at, r.Keep, step.keep, step.why)
		}
		var secret corev1.Secret
		if err := (retentions{Sealing: r}).annotate(&secret); err != nil {
			t.Fatal(err)
		}
		if read := retentionsOf(&secret); read != (retentions{Sealing: r}) {
			t.Fatalf("read back %+v, want %+v", read, r)
		}
	}
}
