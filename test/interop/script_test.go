package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// question is a line that a script writes: where dora is to go, or what the script has found out.
type question struct {
	Visit  string          `json:"visit"`
	Press  string          `json:"press"`
	Code   string          `json:"code"` // what a device shows, for her to type
	Result json.RawMessage `json:"result"`
}

// script runs a scenario of a script as that client, with dora at hand, and reads what it reports.
func script[T any](t *testing.T, file, scenario string, as client) (result T) {
	t.Helper()
	config, err := json.Marshal(as)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node(), file, scenario)
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+live.CA, "CLIENT="+string(config))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	answers, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	questions, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reported := converse(t, dora(t), questions, answers)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s %s: %v\n%s", file, scenario, err, &complaints)
	}
	if err := json.Unmarshal(reported, &result); err != nil {
		t.Fatalf("%s %s reports %s: %v", file, scenario, reported, err)
	}
	return result
}

// converse answers a script's questions until it reports.
func converse(t *testing.T, who *person, questions io.Reader, answers io.WriteCloser) (reported json.RawMessage) {
	t.Helper()
	defer func() { _ = answers.Close() }() // the script may be gone
	lines := bufio.NewScanner(questions)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			t.Errorf("the script says %q: %v", lines.Text(), err)
			return nil
		}
		if q.Result != nil {
			reported = q.Result
			continue
		}
		delete(who.typed, "user_code")
		if q.Code != "" {
			who.typed["user_code"] = q.Code
		}
		arrived, err := who.visit(t.Context(), q.Visit, q.Press)
		if err != nil {
			t.Error(err)
			return nil
		}
		if err := json.NewEncoder(answers).Encode(arrived); err != nil {
			t.Error(err)
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
	return reported
}
