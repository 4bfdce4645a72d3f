package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/latchkey-io/latchkey/hack/bench/generator"
)

// Client does one flow after another over one connection. It is not safe for concurrent use.
type Client struct {
	conn      net.Conn
	answers   *bufio.Reader
	redirects string
	// authorizations are the requests for a code, one of each browser, and next is whose turn it is.
	authorizations []string
	next           int
	// redemption and form are the other request, up to the length of the body, and up to the code.
	redemption, form string
	out              []byte
	body             strings.Builder
}

// Dial connects to a site, with the cookies of browsers that are signed in there, which take turns.
func (s *Site) Dial(ctx context.Context, cookies ...string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, err
	}
	c := &Client{
		conn: conn, answers: bufio.NewReader(conn), redirects: s.RedirectURI + "?",
		redemption: "POST " + s.Token + " HTTP/1.1\r\nHost: " + s.Host + "\r\nAuthorization: " + s.basic() +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ",
		form: s.redemption(),
	}
	for _, browser := range cookies {
		c.authorizations = append(c.authorizations, "GET "+s.Authorize+"?"+s.query()+" HTTP/1.1\r\nHost: "+s.Host+"\r\nCookie: "+browser+"\r\n\r\n")
	}
	return c, nil
}

// Dialer connects so many times, and divides the browsers up among the connections.
func (s *Site) Dialer(cookies []string, connections int) generator.Dial {
	var dialed atomic.Int64
	return func(ctx context.Context) (generator.Caller, error) {
		var own []string
		for i := int(dialed.Add(1)-1) % connections; i < len(cookies); i += connections {
			own = append(own, cookies[i])
		}
		if len(own) == 0 {
			return nil, errors.New("there are more connections than browsers")
		}
		return s.Dial(ctx, own...)
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Tokens are what a flow ends with.
type Tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	// Code is what they were given for.
	Code string `json:"-"`
}

// Call does one flow, whichever it is of a run, and sees to it that a code came, and then a token. It implements generator.Caller.
func (c *Client) Call(int) error {
	code, err := c.authorize()
	if err != nil {
		return err
	}
	body, err := c.redeem(code)
	if err == nil && !strings.Contains(body, `"access_token":"`) {
		err = fmt.Errorf("no access token: %.300s", body)
	}
	return err
}

// Look does one flow and reads what came of it.
func (c *Client) Look() (*Tokens, error) {
	code, err := c.authorize()
	if err != nil {
		return nil, err
	}
	return c.tokens(code)
}

// tokens redeems a code.
func (c *Client) tokens(code string) (*Tokens, error) {
	body, err := c.redeem(code)
	if err != nil {
		return nil, err
	}
	t := &Tokens{Code: code}
	if err := json.Unmarshal([]byte(body), t); err != nil {
		return nil, err
	}
	if t.AccessToken == "" || t.IDToken == "" {
		return nil, fmt.Errorf("an access token and an ID token were asked for: %.300s", body)
	}
	return t, nil
}

// authorize gets a code.
func (c *Client) authorize() (string, error) {
	request := c.authorizations[c.next]
	c.next = (c.next + 1) % len(c.authorizations)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return "", err
	}
	a, err := c.answer(http.MethodGet)
	if err != nil {
		return "", err
	}
	parameters, back := strings.CutPrefix(a.location, c.redirects)
	if a.status != http.StatusSeeOther || !back {
		return "", fmt.Errorf("no code: %d, Location %q: %.300s", a.status, a.location, a.body)
	}
	for parameter := range strings.SplitSeq(parameters, "&") {
		if code, found := strings.CutPrefix(parameter, "code="); found {
			return url.QueryUnescape(code)
		}
	}
	return "", errors.New("no code: " + parameters)
}

// redeem gets tokens for a code. Codes are of letters, digits, - and _, here as elsewhere.
func (c *Client) redeem(code string) (string, error) {
	c.out = fmt.Appendf(c.out[:0], "%s%d\r\n\r\n%s%s", c.redemption, len(c.form)+len(code), c.form, code)
	if _, err := c.conn.Write(c.out); err != nil {
		return "", err
	}
	a, err := c.answer(http.MethodPost)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("no tokens: %d: %.300s", a.status, a.body)
	}
	return a.body, err
}

// answer is what a server answered.
type answer struct {
	status         int
	location, body string
}

// answer reads one answer.
func (c *Client) answer(method string) (answer, error) {
	response, err := http.ReadResponse(c.answers, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	c.body.Reset()
	_, err = io.Copy(&c.body, response.Body)
	return answer{response.StatusCode, response.Header.Get("Location"), c.body.String()}, errors.Join(err, response.Body.Close())
}
