package chaos

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// sample is what there was at one moment.
type sample struct {
	// Seconds are those since the soak began.
	Seconds float64 `json:"seconds"`
	// Figures by name: memory and counts of each process, the times of each kind of work since the last sample, and how many grants
	// there are.
	Figures map[string]float64 `json:"figures"`
}

// sample looks at all processes.
func (s *soak) sample(at time.Duration) sample {
	s.t.Helper()
	taken := sample{Seconds: at.Seconds(), Figures: map[string]float64{}}
	for _, r := range append(append([]*replica{}, s.servers...), s.controllers...) {
		memory, err := resident(r.present().PID())
		must(s.t, err)
		taken.Figures[r.name+" resident MiB"] = memory / (1 << 20)
		for name, metric := range map[string]string{"goroutines": "go_goroutines", "open files": "process_open_fds"} {
			value, err := r.metric(s.t.Context(), metric)
			must(s.t, err)
			taken.Figures[r.name+" "+name] = value
		}
	}
	for _, k := range s.pace.kinds {
		times := k.taken()
		taken.Figures[k.name+" p50 ms"], taken.Figures[k.name+" p99 ms"] = quantile(times, 0.5), quantile(times, 0.99)
	}
	grants := &v1alpha1.OAuthGrantList{}
	must(s.t, api.List(s.t.Context(), grants, client.InNamespace(operatorNamespace), client.Limit(1)))
	taken.Figures["grants"] = float64(len(grants.Items))
	if more := grants.RemainingItemCount; more != nil {
		taken.Figures["grants"] += float64(*more)
	}
	return taken
}

// resident is the memory of a process that is in RAM (VmRSS), in bytes.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(text, []byte("VmRSS:"))
	kib, err := strconv.ParseFloat(strings.Fields(string(after))[0], 64)
	return kib * 1024, err
}
