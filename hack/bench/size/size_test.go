package size

import (
	"os"
	"testing"
	"time"
)

func TestPercentileIsReachedByThatMany(t *testing.T) {
	var values []time.Duration
	for i := range 200 {
		values = append(values, time.Duration(200-i)*time.Millisecond)
	}
	for p, want := range map[int]float64{50: 100, 99: 198, 100: 200} {
		if got := percentile(values, p); got != want {
			t.Errorf("p%d: %v, want %v", p, got, want)
		}
	}
	if got := percentile(values[:1], 99); got != 200 {
		t.Errorf("of one value: %v", got)
	}
}

func TestMemoryOfAProcess(t *testing.T) {
	m, err := memoryOf(os.Getpid())
	if err != nil || m.resident < mebibyte || m.peak < m.resident {
		t.Errorf("%+v, %v", m, err)
	}
	if got, err := kilobytes([]byte("VmHWM:\t  12 kB\nVmRSS:\t    5 kB\n"), "VmRSS"); err != nil || got != 5*1024 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWritesAreCounted(t *testing.T) {
	before := requests{"POST secrets": 2, "GET secrets": 7}
	after := requests{"POST secrets": 5, "GET secrets": 9, "PATCH oauthclients/status": 4, "PUT leases": 3}
	if n := after.since(before).writes(); n != 7 {
		t.Errorf("%v writes", n)
	}
	line := `apiserver_request_total{code="200",component="apiserver",dry_run="",group="oauth.latchkey.io",resource="oauthclients",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 42`
	if found := requestTotal.FindStringSubmatch(line); len(found) != 5 || found[1] != "oauthclients" || found[2] != "status" || found[3] != "PATCH" || found[4] != "42" {
		t.Errorf("%q", found)
	}
}
