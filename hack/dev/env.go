package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

func (s site) envFile() string { return s.path("env") }

// writeEnv tells other tools that, and where, the environment answers. It is the last step of a start.
func (e *environment) writeEnv() error {
	var text strings.Builder
	for _, variable := range [][2]string{
		{"KUBECONFIG", e.cp.Kubeconfig},
		{"LATCHKEY_ISSUER", e.httpsIssuer()},
		{"LATCHKEY_HTTP_ISSUER", e.httpIssuer()},
		{"LATCHKEY_CA", e.caFile()},
		{"LATCHKEY_REVIEW", e.review()},
		{"LATCHKEY_METRICS", e.metrics()},
	} {
		_, _ = fmt.Fprintf(&text, "export %s=%s\n", variable[0], quote(variable[1])) // a builder never fails
	}
	return writeWhole(e.envFile(), []byte(text.String()))
}

// removeEnv takes back what points at this environment. It is the first step of a stop.
func (s site) removeEnv() error {
	var failures []error
	for _, file := range []string{s.envFile(), s.photosToken(), s.caFile(), s.outboundCAFile()} {
		if err := os.Remove(file); !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// quote makes a word of a POSIX shell.
func quote(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.:_-@%+=,") == "" && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// unquote is the reverse of quote.
func unquote(word string) string {
	if !strings.HasPrefix(word, "'") || !strings.HasSuffix(word, "'") || len(word) < 2 {
		return word
	}
	return strings.ReplaceAll(word[1:len(word)-1], `'\''`, "'")
}

// readEnv reads what writeEnv has written.
func (s site) readEnv() (map[string]string, error) {
	text, err := os.ReadFile(s.envFile())
	if err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, word, found := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		if !found {
			return nil, fmt.Errorf("%s: not a variable: %s", s.envFile(), line)
		}
		variables[name] = unquote(word)
	}
	return variables, nil
}
