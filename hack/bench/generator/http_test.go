package generator

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// serveRaw answers each request with bytes as they are, a few at a time, and hangs up after the last one.
func serveRaw(t *testing.T, answers ...string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return // the test is over
		}
		defer func() { _ = conn.Close() }()
		requests := bufio.NewReader(conn)
		for _, answer := range answers {
			r, err := http.ReadRequest(requests)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body) // what the test sends is whole
			for len(answer) > 0 {
				n := min(7, len(answer))
				if _, err := io.WriteString(conn, answer[:n]); err != nil {
					return
				}
				answer = answer[n:]
			}
		}
	}()
	return l.Addr().String()
}

// bodies makes a call for each answer and returns what was in them.
func bodies(t *testing.T, answers ...string) (got []string, err error) {
	t.Helper()
	c, err := HTTP(serveRaw(t, answers...), nil, Request{
		Append: func(b []byte, _ int) []byte {
			return append(b, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"...)
		},
		Check: func(_ int, a Answer) error {
			if a.Status != http.StatusOK {
				return errRefused
			}
			got = append(got, string(a.Body))
			return nil
		},
	})(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for n := range answers {
		if err := c.Call(n); err != nil {
			return got, err
		}
	}
	return got, nil
}

func TestAnswersOverOneConnection(t *testing.T) {
	long := strings.Repeat("x", 40_000) // more than what is read at once
	got, err := bodies(
		t,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\ncontent-length:40000\r\n\r\n"+long,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	)
	if err != nil || len(got) != 4 || got[0] != "hello" || got[1] != "hello world" || got[2] != long || got[3] != "" {
		t.Errorf("%.100q, %v", got, err)
	}
}

func TestAnswersThatAreNoneFailTheCall(t *testing.T) {
	for name, answer := range map[string]string{
		"no status":     "what?\r\n\r\n",
		"no length":     "HTTP/1.1 200 OK\r\n\r\n",
		"closing":       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"cut off":       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"a lying chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
	} {
		if _, err := bodies(t, answer); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := bodies(t, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"); !errors.Is(err, errRefused) {
		t.Errorf("an answer that is not what it should be: %v", err)
	}
}
