package size

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/bench/site"
)

// settle is for how long a server is left alone before its resident memory is read: what its start took goes back to the system
// meanwhile, or it does not.
const settle = 10 * time.Second

// memory is what the kernel says of a process, in bytes.
type memory struct {
	// resident is what it has now, peak the most it ever had.
	resident, peak float64
}

func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, err
	}
	resident, err := kilobytes(text, "VmRSS")
	peak, err2 := kilobytes(text, "VmHWM")
	return memory{resident, peak}, errors.Join(err, err2)
}

func kilobytes(status []byte, field string) (float64, error) {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			v, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return v * 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel does not tell %s", field)
}

// rested waits until a process has come to rest, and returns its memory.
func rested(ctx context.Context, p *site.Program) (memory, error) {
	until := time.Now().Add(settle)
	err := site.Poll(ctx, settle+time.Minute, time.Second, func(context.Context) (bool, error) { return time.Now().After(until), p.Failure() })
	if err != nil {
		return memory{}, err
	}
	return memoryOf(p.PID())
}

// heap is what of a server's live memory belongs to whom, in bytes.
type heap struct {
	// all is the whole, ours what Latchkey makes of the objects that its informers and stores hold.
	all, ours float64
}

const (
	// ourPackages make something of the objects of the informers; informers is whose frames stand above the cache's own copies.
	ourPackages = `latchkey/controllers/publish|latchkey/controllers/compile|latchkey/server/registry|latchkey/server/usage`
	informers   = `cache\.\(\*Reflector\)|cache\.\(\*sharedIndexInformer\)`
)

// heapOf has the server collect its garbage and tell what is left.
func (b *bench) heapOf(ctx context.Context, p *site.Program, name string) (heap, error) {
	var profile bytes.Buffer
	status, err := site.Get(ctx, p.Health+"/debug/pprof/heap?gc=1", &profile)
	if err != nil || status != http.StatusOK {
		return heap{}, fmt.Errorf("/debug/pprof/heap: %d, %w", status, err)
	}
	file, err := b.file(name + ".heap.pb.gz")
	if err != nil {
		return heap{}, err
	}
	if err := os.WriteFile(file, profile.Bytes(), 0o644); err != nil {
		return heap{}, err
	}
	all, err := inUse(ctx, file, "-focus=.")
	if err != nil {
		return heap{}, err
	}
	ours, err := inUse(ctx, file, "-focus="+ourPackages, "-ignore="+informers)
	return heap{all, ours}, err
}

// accounting is the line in which pprof says how much the samples come to that it was asked about.
var accounting = regexp.MustCompile(`(?m)^Showing nodes accounting for (\d+)B?,`)

// inUse sums up samples of a heap profile, with the pprof that comes with Go.
func inUse(ctx context.Context, file string, choice ...string) (float64, error) {
	args := append([]string{"tool", "pprof", "-inuse_space", "-unit=B", "-top", "-nodefraction=0", "-nodecount=100000"}, append(choice, file)...)
	cmd := exec.CommandContext(ctx, "go", args...)
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("go tool pprof: %w: %s", err, failure.Bytes())
	}
	found := accounting.FindSubmatch(out.Bytes())
	if found == nil {
		if strings.Contains(failure.String(), "no matches") || strings.Contains(failure.String(), "empty") {
			return 0, nil // none of the samples
		}
		return 0, fmt.Errorf("go tool pprof answers something else: %.200s %s", out.Bytes(), failure.Bytes())
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
