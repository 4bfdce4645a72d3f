package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func at() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func TestBuckets(t *testing.T) {
	b, now := NewBuckets(Rate{PerSecond: 0.5, Burst: 2}), at()
	one, other := Key{Client: "one"}, Key{Client: "one", Network: netip.MustParsePrefix("192.0.2.1/32")}
	for range 2 {
		if _, ok := b.Take(one, now); !ok {
			t.Fatal("refused within the burst")
		}
	}
	for range 10 { // what is refused is not counted
		if wait, ok := b.Take(one, now); ok || wait != 2*time.Second {
			t.Fatalf("%v, wait %s", ok, wait)
		}
	}
	if _, ok := b.Take(other, now); !ok {
		t.Error("one key pays for another")
	}
	if _, ok := b.Take(one, now.Add(2*time.Second)); !ok {
		t.Error("refused in time")
	}
	if _, ok := NewBuckets(Rate{}).Take(one, now); !ok {
		t.Error("no limit refuses")
	}
}

// Row: anonymous flood: a million sources take no more memory than there is for them.
func TestBucketsAreBounded(t *testing.T) {
	b := NewBuckets(Rate{PerSecond: 1, Burst: 1})
	for i := range 100_000 {
		b.Take(Key{Client: fmt.Sprint(i)}, at())
	}
	if n := b.len(); n > 65_536 {
		t.Errorf("%d keys are kept", n)
	}
}

func TestTakeOfAKnownKeyAllocatesNothing(t *testing.T) {
	b, k, now := NewBuckets(Rate{PerSecond: 1000, Burst: 1 << 30}), Key{Client: "one"}, at()
	b.Take(k, now)
	if n := testing.AllocsPerRun(100, func() { b.Take(k, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRateAsText(t *testing.T) {
	for _, good := range []string{"100:1000", "0.5:1"} {
		var r Rate
		if err := r.UnmarshalText([]byte(good)); err != nil {
			t.Error(err)
		}
		if text, err := r.MarshalText(); err != nil || string(text) != good {
			t.Errorf("%s became %s: %v", good, text, err)
		}
	}
	off := Rate{PerSecond: 1, Burst: 1}
	if err := off.UnmarshalText([]byte("0")); err != nil || off != (Rate{}) {
		t.Errorf("%+v: %v", off, err)
	}
	for _, bad := range []string{"", "100", "100:", "100:0", "-1:5", "NaN:5", "1e-300:1", "0.00001:1", "Inf:5", "0:5", "a:b", "1:2:3"} {
		if err := new(Rate).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a rate", bad)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	limits, now := NewRequests(DefaultRates()), at()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			limits.Client("5f0c0f5e-0000-4000-8000-000000000000", now)
		}
	})
}
