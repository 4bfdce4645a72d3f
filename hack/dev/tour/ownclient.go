package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// The samples, as config/samples declares them.
const (
	namespace  = "demo"
	secretName = "print-shop-oauth"
	photosAPI  = "https://photos.demo.svc" // the ResourceServer's identifier, which is its tokens' audience
)

// ownClient is the print-shop once more, played here, so that code and tokens can be handled.
func (t *tour) ownClient(ctx context.Context) (*client, error) {
	secret, err := t.cluster.CoreV1().Secrets(namespace).Get(ctx, secretName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	c := &client{
		http:        t.direct,
		issuer:      string(secret.Data["issuer"]),
		id:          string(secret.Data["client-id"]),
		secret:      string(secret.Data["client-secret"]),
		redirectURI: t.callback(),
	}
	if err := t.expect(c.issuer == t.Issuer && c.id != "" && c.secret != "", "Secret %s/%s holds client-id, client-secret and issuer", namespace, secretName); err != nil {
		return nil, err
	}
	return c, c.discover(ctx)
}

func (t *tour) callback() string { return t.PrintShop + "/callback" }

// code has alice approve a request of that client, and returns the code she is sent back with.
func (t *tour) code(ctx context.Context, c *client, scope string) (string, error) {
	request, err := c.authorizationRequest(scope, photosAPI)
	if err != nil {
		return "", err
	}
	back, err := t.answer(ctx, request, c.redirectURI, alice("allow", func(*browser.Page) error { return nil }))
	if err != nil {
		return "", err
	}
	query := back.Query()
	return query.Get("code"), t.expect(query.Get("code") != "" && query.Get("state") == c.state && query.Get("iss") == c.issuer,
		"a code came back, with the state that was sent and the issuer")
}

// handle goes the way a second time with the token in hand: what it says, what it is refused for, and that its code works once.
func (t *tour) handle(ctx context.Context) error {
	t.aside("The same client played here, with a narrower scope, to look at the tokens and to misuse them")
	c, err := t.ownClient(ctx)
	if err != nil {
		return err
	}
	code, err := t.code(ctx, c, "openid photos.read")
	if err != nil {
		return err
	}
	answer, err := c.redeem(ctx, code)
	if err != nil {
		return err
	}
	if err := t.expect(answer.status == http.StatusOK && answer.AccessToken != "" && answer.IDToken != "",
		"the code was exchanged for an access token and an ID token: HTTP %d %s", answer.status, answer.Error); err != nil {
		return err
	}
	for _, check := range []func(context.Context, *client, tokens) error{t.inspect, t.reviewed, t.presented} {
		if err := check(ctx, c, answer); err != nil {
			return err
		}
	}
	return t.replayed(ctx, c, code, answer)
}

// inspect reads both tokens.
func (t *tour) inspect(_ context.Context, c *client, answer tokens) error {
	header, access, err := claims(answer.AccessToken)
	if err != nil {
		return err
	}
	t.saw("access token%s", listed(header, access))
	if err := t.expect(header["typ"] == "at+jwt" && access["iss"] == c.issuer && access["client_id"] == c.id && has(access["aud"], photosAPI),
		"the access token is an RFC 9068 one, by this issuer, for this client and for %s", photosAPI); err != nil {
		return err
	}
	scopes := strings.Fields(fmt.Sprint(access["scope"]))
	if err := t.expect(slices.Contains(scopes, "photos.read") && !slices.Contains(scopes, "photos.write"), "its scope is what was asked for: %v", access["scope"]); err != nil {
		return err
	}
	header, id, err := claims(answer.IDToken)
	if err != nil {
		return err
	}
	t.saw("ID token%s", listed(header, id))
	return t.expect(id["iss"] == c.issuer && has(id["aud"], c.id) && id["nonce"] == c.nonce && id["sub"] == access["sub"],
		"the ID token is for the client, with its nonce and the same subject")
}

// reviewed asks about the access token as photos does.
func (t *tour) reviewed(ctx context.Context, _ *client, answer tokens) error {
	status, err := t.review(ctx, answer.AccessToken, photosAPI)
	if err != nil {
		return err
	}
	if err := t.expect(status.Authenticated && slices.Equal(status.Audiences, []string{photosAPI}),
		"a TokenReview for %s answers authenticated, as %q", photosAPI, status.User.Username); err != nil {
		return err
	}
	status, err = t.review(ctx, answer.IDToken, photosAPI)
	if err != nil {
		return err
	}
	return t.expect(!status.Authenticated, "a TokenReview of the ID token answers not authenticated")
}

// presented calls the API with nothing, with the token, and for more than the token allows.
func (t *tour) presented(ctx context.Context, _ *client, answer tokens) error {
	for _, call := range []struct {
		what, method, path, token string
		want                      int
	}{
		{"without a token", http.MethodGet, "/photos", "", http.StatusUnauthorized},
		{"with something else than a token", http.MethodGet, "/photos", "not-a-token", http.StatusUnauthorized},
		{"with the ID token", http.MethodGet, "/photos", answer.IDToken, http.StatusUnauthorized},
		{"with the access token", http.MethodGet, "/photos", answer.AccessToken, http.StatusOK},
		{"with the access token, which has no photos.write,", http.MethodPost, "/photos/fog/prints", answer.AccessToken, http.StatusForbidden},
	} {
		status, challenge, err := t.call(ctx, call.method, call.path, call.token)
		if err != nil {
			return err
		}
		if err := t.expect(status == call.want, "%s %s %s answers %d %s", call.method, call.path, call.what, status, challenge); err != nil {
			return err
		}
	}
	return nil
}

// call sends a request to the photos API.
func (t *tour) call(ctx context.Context, method, path, token string) (status int, challenge string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, t.Photos+path, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := t.direct.Do(request)
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("WWW-Authenticate"), errors.Join(err, response.Body.Close())
}

// replayed presents the code again, which must fail and take what it produced with it.
func (t *tour) replayed(ctx context.Context, c *client, code string, first tokens) error {
	second, err := c.redeem(ctx, code)
	if err != nil {
		return err
	}
	if err := t.expect(second.status == http.StatusBadRequest && second.Error == "invalid_grant" && second.AccessToken == "",
		"the same code a second time answers %d %s", second.status, second.Error); err != nil {
		return err
	}
	return t.eventually(ctx, "the token of the first time is revoked", func(ctx context.Context) (bool, error) {
		status, err := t.review(ctx, first.AccessToken, photosAPI)
		return err == nil && !status.Authenticated, err
	})
}

// eventually waits for what takes effect a moment later.
func (t *tour) eventually(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	begin := time.Now()
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 10*time.Second, true, condition)
	if err != nil {
		return errors.Join(t.expect(false, "%s", what), err)
	}
	return t.expect(true, "%s, after %d ms", what, time.Since(begin).Milliseconds())
}

// has reports whether an audience, which may be one or a list, contains a value.
func has(audience any, value string) bool {
	if list, isList := audience.([]any); isList {
		return slices.Contains(list, any(value))
	}
	return audience == value
}

// listed shows header and claims, each on a line.
func listed(header, payload map[string]any) string {
	var lines strings.Builder
	for _, part := range []map[string]any{header, payload} {
		for _, name := range slices.Sorted(maps.Keys(part)) {
			_, _ = fmt.Fprintf(&lines, "\n         %-10s %v", name, part[name]) // a builder never fails
		}
	}
	return lines.String()
}
