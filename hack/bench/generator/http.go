package generator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// What answers are looked through for.
const (
	version   = "HTTP/1.1 "
	newline   = "\r\n"
	emptyLine = newline + newline
)

// Request is a kind of request. Both functions are called for several connections at once.
type Request struct {
	// Append appends the n-th one to b, head and body, as it goes over the wire.
	Append func(b []byte, n int) []byte
	// Check says what is wrong with the answer to the n-th one. The answer is good until it returns.
	Check func(n int, a Answer) error
}

// Answer is what a server answered.
type Answer struct {
	Status int
	Body   []byte
}

// HTTP makes requests over connections of HTTP/1.1 that are kept, with TLS unless config is nil.
func HTTP(address string, config *tls.Config, r Request) Dial {
	return func(ctx context.Context) (Caller, error) {
		c, err := dial(ctx, address, config)
		if err != nil {
			return nil, err
		}
		return &connection{Conn: c, request: r, in: make([]byte, 16<<10)}, nil
	}
}

func dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
}

// connection is one connection.
type connection struct {
	net.Conn
	request Request
	out     []byte
	// in is where is read to; what is between at and end has not been looked at.
	in      []byte
	at, end int
	// body is that of an answer in chunks.
	body []byte
}

// Call implements Caller.
func (c *connection) Call(n int) error {
	c.out = c.request.Append(c.out[:0], n)
	if _, err := c.Write(c.out); err != nil {
		return err
	}
	a, err := c.answer()
	if err != nil {
		return err
	}
	if c.at != c.end {
		return errors.New("there is more than the answer")
	}
	return c.request.Check(n, a)
}

// answer reads an answer, of which no header counts but those that say how long it is.
func (c *connection) answer() (Answer, error) {
	c.at, c.end = 0, 0
	head, err := c.head()
	if err != nil {
		return Answer{}, err
	}
	a := Answer{}
	length, chunked := -1, false
	for line := range bytes.SplitSeq(head, []byte(newline)) {
		if a.Status == 0 {
			if a.Status, err = status(line); err != nil {
				return a, err
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			err = errors.New("the server closes the connection")
		}
		if err != nil {
			return a, err
		}
	}
	switch {
	case chunked:
		a.Body, err = c.chunks()
	case length >= 0:
		a.Body, err = c.exactly(length)
	default:
		err = fmt.Errorf("an answer without a length: %q", head)
	}
	return a, err
}

// status is that of a status line.
func status(line []byte) (int, error) {
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte(version)) {
		return 0, fmt.Errorf("no status line: %q", line)
	}
	return strconv.Atoi(string(line[len(version):][:3]))
}

// head reads up to the empty line, which is not part of it.
func (c *connection) head() ([]byte, error) {
	for {
		if i := bytes.Index(c.in[c.at:c.end], []byte(emptyLine)); i >= 0 {
			head := c.in[c.at:][:i]
			c.at += i + len(emptyLine)
			return head, nil
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// exactly reads so many bytes.
func (c *connection) exactly(n int) ([]byte, error) {
	for c.end-c.at < n {
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	c.at += n
	return c.in[c.at-n : c.at], nil
}

// chunks reads a body in chunks (RFC 9112 section 7.1) without trailers.
func (c *connection) chunks() ([]byte, error) {
	c.body = c.body[:0]
	for {
		size, err := c.line()
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(string(size), 16, 31)
		if err != nil {
			return nil, err
		}
		chunk, err := c.exactly(int(n))
		if err != nil {
			return nil, err
		}
		c.body = append(c.body, chunk...)
		if end, err := c.line(); err != nil || len(end) > 0 {
			return nil, errors.Join(err, errors.New("a chunk is longer than it says, or there are trailers"))
		}
		if n == 0 {
			return c.body, nil
		}
	}
}

// line reads a line, which its end is not part of.
func (c *connection) line() ([]byte, error) {
	for {
		if i := bytes.Index(c.in[c.at:c.end], []byte(newline)); i >= 0 {
			line := c.in[c.at:][:i]
			c.at += i + len(newline)
			return line, nil
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// more reads what there is.
func (c *connection) more() error {
	if c.end == len(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...) // what was returned of the old one stays good
	}
	n, err := c.Read(c.in[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
