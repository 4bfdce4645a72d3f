package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// report is what was tried with one fault, and what became of it.
type report struct {
	// Fault says what was done to the site.
	Fault string `json:"fault"`
	// Tried are the steps, in order.
	Tried []string `json:"tried"`
	// Seconds are how long it took.
	Seconds float64 `json:"seconds"`
	// Requests is how many clients sent, those that they sent again among them.
	Requests int `json:"requests"`
	// Answers counts the requests by what they were answered with: an HTTP status, or "none" where the connection broke.
	Answers map[string]int `json:"answers"`
	// Failed is how many were answered with 5xx or not at all.
	Failed int `json:"failed"`
	// Acknowledged is how many codes and tokens clients were told to be good, Lost how many of them were not, and Twice how many codes and
	// refresh tokens were honoured more than once.
	Acknowledged int `json:"acknowledged"`
	Lost         int `json:"lost"`
	Twice        int `json:"twice"`
	// Broken are all promises that were not kept, those about lost and twice among them.
	Broken []string `json:"broken"`
	// Samples are those of a soak.
	Samples []sample `json:"samples,omitempty"`

	t  *testing.T
	mu sync.Mutex
}

// list is all reports of a run.
type list struct {
	mu  sync.Mutex
	all []*report
}

var reports list

// mostTold bounds how many broken promises of one report are told one by one.
const mostTold = 20

// newReport begins to report on a fault, until the test ends.
func newReport(t *testing.T, fault string, args ...any) *report {
	r := &report{Fault: fmt.Sprintf(fault, args...), Answers: map[string]int{}, Tried: []string{}, Broken: []string{}, t: t}
	begin := time.Now()
	t.Cleanup(func() {
		r.mu.Lock()
		r.Seconds = time.Since(begin).Seconds()
		if t.Failed() && len(r.Broken) == 0 {
			r.Broken = append(r.Broken, "the test failed; see its output")
		}
		for _, broken := range r.Broken {
			t.Log("broken:", broken) // again, behind the logs of all processes
		}
		r.mu.Unlock()
		reports.add(r)
	})
	return r
}

func (l *list) add(r *report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

// tried notes a step.
func (r *report) tried(format string, args ...any) {
	r.t.Helper()
	r.t.Logf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Tried = append(r.Tried, fmt.Sprintf(format, args...))
}

// acknowledged notes that clients were told that so many codes and tokens are good.
func (r *report) acknowledged(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Acknowledged += n
}

// lost notes that what a client was told to be good is not.
func (r *report) lost(format string, args ...any) { r.breaks(&r.Lost, "lost: "+format, args...) }

// twice notes that a code or a refresh token was honoured more than once.
func (r *report) twice(format string, args ...any) { r.breaks(&r.Twice, "twice: "+format, args...) }

// broken notes that another promise was not kept.
func (r *report) broken(format string, args ...any) { r.breaks(new(int), format, args...) }

func (r *report) breaks(count *int, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*count++
	switch text := fmt.Sprintf(format, args...); {
	case len(r.Broken) < mostTold:
		r.Broken = append(r.Broken, text)
		r.t.Error(text)
	case len(r.Broken) == mostTold:
		r.Broken = append(r.Broken, "and more")
		r.t.Error("and more")
	}
}

// answered counts the requests by their answers.
func (r *report) answered(answer string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Requests++
	r.Answers[answer]++
	if failed {
		r.Failed++
	}
}

// counting is a transport that reports what is sent.
type counting struct {
	http.RoundTripper
	report *report
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(request)
	switch {
	case errors.Is(err, request.Context().Err()) && err != nil:
	case err != nil:
		c.report.answered("none", true)
	default:
		c.report.answered(fmt.Sprint(response.StatusCode), response.StatusCode >= http.StatusInternalServerError)
	}
	return response, err
}

// failures is how many requests have failed so far.
func (r *report) failures() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Failed
}

// print writes all reports: for each fault what was tried, and at the end a table.
func (l *list) print(w io.Writer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out strings.Builder
	for _, r := range l.all {
		fmt.Fprintf(&out, "\n%s\n", r.Fault)
		for _, step := range r.Tried {
			fmt.Fprintf(&out, "  %s\n", step)
		}
		fmt.Fprintf(&out, "  answers: %s\n", r.answers())
		for _, b := range r.Broken {
			fmt.Fprintf(&out, "  BROKEN %s\n", b)
		}
	}
	table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprint(table, "\nfault\ttook\trequests\tfailed\tacknowledged\tlost\ttwice\tpromises broken\n") // errors are kept for Flush
	for _, r := range l.all {
		_, _ = fmt.Fprintf(table, "%s\t%.1f s\t%d\t%d\t%d\t%d\t%d\t%d\n", r.Fault, r.Seconds, r.Requests, r.Failed, r.Acknowledged, r.Lost, r.Twice, len(r.Broken))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, out.String()+"\n")
	return err
}

func (r *report) answers() string {
	var out []string
	for _, answer := range slices.Sorted(maps.Keys(r.Answers)) {
		out = append(out, fmt.Sprintf("%d × %s", r.Answers[answer], answer))
	}
	return strings.Join(out, ", ")
}

func (l *list) write(file string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := json.MarshalIndent(l.all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
