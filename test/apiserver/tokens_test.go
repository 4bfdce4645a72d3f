package apiserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/controlplane"
	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

const (
	kubernetesAudience = controlplane.Issuer
	photos             = "https://photos.demo.svc"
	redirectURI        = "http://127.0.0.1/callback"
)

// tokens are a token endpoint's answer, or its error.
type tokens struct {
	AccessToken string `json:"access_token"`
	IDToken     string `json:"id_token"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func send(ctx context.Context, client *http.Client, method, address string, header http.Header, body io.Reader) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return 0, nil, err
	}
	request.Header = header.Clone()
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	text, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, text, errors.Join(err, response.Body.Close())
}

// redeem sends a token request to the issuer of that path, as the client; without a secret as a public one.
func redeem(ctx context.Context, path, client, secret string, form url.Values) (answer tokens, err error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	form.Set("client_id", client)
	if secret != "" {
		form.Set("client_secret", secret)
	}
	_, text, err := send(ctx, direct, http.MethodPost, issuer+path+"/token", header, strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(text, &answer)
}

// secretOf is the client secret that the controller made.
func secretOf(ctx context.Context, client string) (string, error) {
	out, _, err := home.Kubectl(ctx, "get", "secret", "-n", "demo", client+"-oauth", "-o", `go-template={{index .data "client-secret" | base64decode}}`)
	return out, err
}

// own is what a client gets in its own right from AuthorizationServer name, for kube-apiserver unless another resource is named.
func own(ctx context.Context, name, client string, resource ...string) (tokens, error) {
	path := "/" + name
	if name == "default" {
		path = ""
	}
	secret, err := secretOf(ctx, client)
	if err != nil {
		return tokens{}, err
	}
	return redeem(ctx, path, "demo."+client, secret, url.Values{"grant_type": {"client_credentials"}, "resource": append(resource, kubernetesAudience)[:1]})
}

func mustOwn(t *testing.T, name, client string, resource ...string) string {
	t.Helper()
	answer, err := own(t.Context(), name, client, resource...)
	if err != nil || answer.AccessToken == "" {
		t.Fatalf("%s: %s, %v", client, answer.Error, err)
	}
	return answer.AccessToken
}

// alices is what client kubectl gets when alice signs in and allows the scope, for the first of the resources.
func alices(t *testing.T, scope string, resources ...string) tokens {
	t.Helper()
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {"demo.kubectl"}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {scope}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
		"resource": resources,
	}
	code, err := approve(t.Context(), issuer+"/authorize?"+query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := redeem(t.Context(), "", "demo.kubectl", "", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}, "resource": resources[:min(len(resources), 1)],
	})
	if err != nil || answer.AccessToken == "" {
		t.Fatalf("the code is answered with %s %s, %v", answer.Error, answer.Description, err)
	}
	return answer
}

// approve goes from an authorization request to a code.
func approve(ctx context.Context, address string) (string, error) {
	b, err := browser.New(direct.Transport)
	if err != nil {
		return "", err
	}
	page, err := b.Get(ctx, address)
	for range 10 {
		switch {
		case err != nil:
			return "", err
		case page.Next != nil && strings.HasPrefix(page.Next.String(), redirectURI+"?"):
			back := page.Next.Query()
			if back.Get("code") == "" {
				return "", fmt.Errorf("came back with %s: %s", back.Get("error"), back.Get("error_description"))
			}
			return back.Get("code"), nil
		case page.Next != nil:
			page, err = b.Get(ctx, page.Next.String())
		case page.ID("sign-in") != nil:
			page, err = press(ctx, b, page, "sign-in", map[string]string{"username": "alice", "password": "wonderland"})
		case page.ID("allow") != nil:
			page, err = press(ctx, b, page, "allow", nil)
		default:
			return "", fmt.Errorf("met a page that is neither: %s", page.Text())
		}
	}
	return "", errors.New("led in a circle")
}

func press(ctx context.Context, b *browser.Browser, page *browser.Page, button string, fields map[string]string) (*browser.Page, error) {
	form, err := page.Form(button)
	if err != nil {
		return nil, err
	}
	return b.Submit(ctx, form, button, fields)
}

// exchanged is what client gateway gets for kube-apiserver, for a token of alice's with which it was called.
func exchanged(t *testing.T, raw string) string {
	t.Helper()
	secret, err := secretOf(t.Context(), "gateway")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := redeem(t.Context(), "", "demo.gateway", secret, url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "resource": {kubernetesAudience}, "scope": {"kubernetes"},
	})
	if err != nil || answer.AccessToken == "" {
		t.Fatalf("the exchange is answered with %s %s, %v", answer.Error, answer.Description, err)
	}
	return answer.AccessToken
}

// claims are those of a token, which is not verified.
func claims(t *testing.T, raw string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
