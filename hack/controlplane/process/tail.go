package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// tail returns the last lines of a file, each indented, reading no more than its last 16 KiB.
func tail(file string, lines int) string {
	text, err := end(file, 16<<10)
	if err != nil {
		return fmt.Sprintf("    (%v)", err)
	}
	all := strings.Split(string(bytes.TrimSpace(text)), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return "    " + strings.Join(all, "\n    ")
}

func end(file string, size int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(max(0, info.Size()-size), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
