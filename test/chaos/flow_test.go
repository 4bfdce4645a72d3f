package chaos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// flow is one use of the app by a user: a code and the tokens that it became.
type flow struct {
	site *site
	user *browser.Browser
	// verifier is that of PKCE.
	verifier string
	// code is the present one. A flow whose code was spent on an answer that never came begins again with another.
	code string
	// presented is how often the code was presented before redeem did.
	presented int
	// accesses and refreshes are what was acknowledged, in order.
	accesses, refreshes []string
	begunAgain          int
}

// answer is a token endpoint's, or its error.
type answer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`

	status     int
	retryAfter string
}

// newFlow is a flow of any of the users.
func (s *site) newFlow() *flow {
	return &flow{site: s, user: s.users[mathrand.IntN(len(s.users))], verifier: rand.Text() + rand.Text()}
}

// url is the authorization request.
func (f *flow) url() string {
	challenge := sha256.Sum256([]byte(f.verifier))
	return f.site.issuer + "/authorize?" + url.Values{
		"client_id": {f.site.name + ".app"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid offline_access orders.read"},
		"resource": {f.site.identifier}, "state": {rand.Text()}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// redemption and refreshing are token requests of the app.
func (f *flow) redemption() url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {f.code}, "redirect_uri": {callback}, "code_verifier": {f.verifier}, "client_id": {f.site.name + ".app"}}
}

func (f *flow) refreshing(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {f.site.name + ".app"}}
}

// newest is the refresh token in force.
func (f *flow) newest() string { return f.refreshes[len(f.refreshes)-1] }

// keep notes what was acknowledged.
func (f *flow) keep(a answer) {
	f.accesses, f.refreshes = append(f.accesses, a.AccessToken), append(f.refreshes, a.RefreshToken)
	f.site.report.acknowledged(2)
}

// errSpent says that a code may have been spent on an answer that never came.
var errSpent = errors.New("the code is spent on an answer that never came")

// redeem presents the code until there is an answer.
func (f *flow) redeem(ctx context.Context) error {
	a, attempts, err := f.site.insist(ctx, f.redemption())
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK && a.AccessToken != "" && a.RefreshToken != "":
		f.site.report.acknowledged(1) // the code itself
		f.keep(a)
		return nil
	case a.Error == "invalid_grant" && attempts+f.presented > 1:
		return errSpent
	}
	f.site.report.lost("a code is answered, at the first attempt, with HTTP %d %s", a.status, a.Error)
	return nil
}

// refresh presents the newest refresh token until there is an answer.
func (f *flow) refresh(ctx context.Context) error {
	a, attempts, err := f.site.insist(ctx, f.refreshing(f.newest()))
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.AccessToken == "" || a.RefreshToken == "" {
		f.site.report.lost("a refresh token that was acknowledged is answered, at attempt %d, with HTTP %d %s", attempts, a.status, a.Error)
		return nil
	}
	f.keep(a)
	return nil
}

// begin gets a code and redeems it; again, from the beginning, as often as a code is spent on an answer that never came.
func (f *flow) begin(ctx context.Context) error {
	for {
		if err := f.authorize(ctx); err != nil {
			return err
		}
		if err := f.redeem(ctx); !errors.Is(err, errSpent) {
			return err
		}
		f.begunAgain++
	}
}

// insist sends a token request until it is answered, as clients do: again and later where the connection broke, or the server says
// that it can't answer now. It tells how often it was sent.
func (s *site) insist(ctx context.Context, form url.Values) (a answer, attempts int, err error) {
	attempts, err = insist(ctx, func() (bool, error) {
		a, err = s.token(ctx, s.issuer, form)
		return err != nil || transient(a.status), err
	})
	return a, attempts, err
}

// transient says of a status that it is not the last word.
func transient(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return true
	}
	return false
}

// Attempts are longestPause apart at most, and twice as far as those before them, give or take a half.
const (
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// insist calls attempt until it wants no other, at most for so long as patience lasts.
func insist(ctx context.Context, attempt func() (again bool, err error)) (attempts int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		attempts++
		again, err := attempt()
		if !again {
			return attempts, err
		}
		timer := time.NewTimer(pause/2 + mathrand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return attempts, fmt.Errorf("no answer after %d attempts: %w, last %w", attempts, ctx.Err(), err)
		}
	}
}

// token sends a token request once, to a server or to the service before them all. With a user and a password the client proves itself.
func (s *site) token(ctx context.Context, base string, form url.Values, credentials ...string) (a answer, err error) {
	var header http.Header
	a.status, header, err = s.post(ctx, base+"/token", form, &a, credentials...)
	a.retryAfter = header.Get("Retry-After")
	return a, err
}

// post sends a form once, and reads the answer into one where there is one. With a user and a password the client proves itself.
func (s *site) post(ctx context.Context, address string, form url.Values, into any, credentials ...string) (int, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(credentials) == 2 {
		request.SetBasicAuth(url.QueryEscape(credentials[0]), url.QueryEscape(credentials[1])) // encoded first: RFC 6749 section 2.3.1
	}
	status, header, text, err := send(s.client, request)
	if err != nil || into == nil {
		return status, header, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		err = fmt.Errorf("HTTP %d %s: %w", status, text, err)
		return status, header, err
	}
	return status, header, nil
}

// send sends a request once and reads the whole answer.
func send(client *http.Client, request *http.Request) (int, http.Header, []byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, response.Header, text, errors.Join(err, response.Body.Close())
}
