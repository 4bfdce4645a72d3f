package tour

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// report prints what the tour sees.
type report struct {
	out  io.Writer
	step string
}

func (r *report) begin(number int, title string) {
	r.step = fmt.Sprintf("step %d", number)
	r.print("\n%d  %s\n", number, title)
}

// aside begins what is shown besides the seven steps.
func (r *report) aside(title string) {
	r.step = title
	r.print("\n-  %s\n", title)
}

func (r *report) saw(format string, args ...any) { r.print("     "+format+"\n", args...) }

func (r *report) print(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format, args...) // the outcome is the exit status, not what a closed pipe shows
}

// expect prints a finding that holds and turns one that does not into an error.
func (r *report) expect(holds bool, format string, args ...any) error {
	finding := strings.TrimSpace(fmt.Sprintf(format, args...))
	if !holds {
		r.print("   ✗ %s\n", finding)
		return fmt.Errorf("this does not hold: %s", finding)
	}
	r.print("   ✓ %s\n", finding)
	return nil
}

// shown are the parameters that may be read by anyone looking over a shoulder; of the others only the length is.
var shown = []string{
	"client_id", "redirect_uri", "response_type", "scope", "resource", "code_challenge_method", "iss",
	"error", "error_description", "prompt",
}

// brief is an address with its parameters in the order of their names, and what is long or secret shortened.
func brief(address *url.URL) string {
	text := address.Scheme + "://" + address.Host + address.Path
	query := address.Query()
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = name + "=" + briefValue(name, strings.Join(query[name], " "))
	}
	if len(names) == 0 {
		return text
	}
	return text + "\n         " + strings.Join(names, "\n         ")
}

func briefValue(name, value string) string {
	if slices.Contains(shown, name) && len(value) <= 120 {
		return value
	}
	return fmt.Sprintf("(%d characters)", len(value))
}
