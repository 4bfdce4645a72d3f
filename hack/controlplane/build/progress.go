package build

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// goOutput collects what the go command says and counts it. It is safe for concurrent use.
type goOutput struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *goOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// counts returns how many modules were downloaded and how many packages compiled so far.
func (o *goOutput) counts() (modules, packages int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	modules = strings.Count(o.text.String(), "go: downloading ")
	return modules, strings.Count(o.text.String(), "\n") - modules
}

// Intervals between two signs of life: a terminal's line is overwritten, elsewhere every one is a new line.
const (
	terminalInterval = time.Second
	logInterval      = 15 * time.Second
)

// show writes a build's progress until the returned function is called with its outcome.
func show(w io.Writer, name string, output *goOutput) (stop func(error)) {
	begin, terminal := time.Now(), isTerminal(w)
	interval := logInterval
	if terminal {
		interval = terminalInterval
	}
	finished, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-finished:
				return
			case <-ticker.C:
				printLine(w, terminal, status(name, "building", time.Since(begin), output))
			}
		}
	}()
	return func(err error) {
		close(finished)
		<-gone
		word := "built"
		if err != nil {
			word = "failed"
		}
		printLine(w, terminal, status(name, word, time.Since(begin), output))
		if terminal {
			_, _ = fmt.Fprintln(w) // progress is a courtesy; a closed terminal must not fail the build
		}
	}
}

func status(name, word string, elapsed time.Duration, output *goOutput) string {
	line := fmt.Sprintf("  %-24s %-8s %6s", name, word, elapsed.Round(time.Second))
	modules, packages := output.counts()
	if modules > 0 {
		line += fmt.Sprintf("  %d modules downloaded", modules)
	}
	if packages > 0 {
		line += fmt.Sprintf("  %d packages compiled", packages)
	}
	return line
}

func printLine(w io.Writer, terminal bool, line string) {
	if terminal {
		_, _ = fmt.Fprintf(w, "\r\033[K%s", line) // see show: progress is a courtesy
		return
	}
	_, _ = fmt.Fprintln(w, line)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
