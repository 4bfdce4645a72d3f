package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scopeKey is where a TokenReview by Latchkey tells the scopes of a token.
const scopeKey = "oauth.latchkey.io/scope"

// errNotValid is a definite no.
var errNotValid = errors.New("the token is not valid here")

// caller is who a token speaks for.
type caller struct {
	name, uid string
	scopes    []string
}

// reviewer has tokens validated by a TokenReview.
type reviewer struct {
	url, identifier, tokenFile string
	client                     *http.Client
}

func newReviewer(c config) (*reviewer, error) {
	if c.reviewURL == "" {
		return nil, errors.New("say with -review-url where tokens are reviewed")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16}
	if c.reviewCAFile != "" {
		text, err := os.ReadFile(c.reviewCAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", c.reviewCAFile)
		}
	}
	return &reviewer{c.reviewURL, c.identifier, c.tokenFile, &http.Client{Transport: transport, Timeout: 5 * time.Second, CheckRedirect: noRedirect}}, nil
}

// noRedirect keeps tokens from being carried on to wherever a reply points.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// review asks whether the token is good for this API. errNotValid is a no; any other error means that nobody knows.
func (r *reviewer) review(ctx context.Context, token string) (caller, error) {
	answer, err := r.ask(ctx, authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{r.identifier}},
	})
	switch {
	case err != nil:
		return caller{}, err
	case answer.Status.Error != "":
		return caller{}, errors.New(answer.Status.Error)
	// A reply without our own identifier is about somebody else's token.
	case !answer.Status.Authenticated, !slices.Contains(answer.Status.Audiences, r.identifier):
		return caller{}, errNotValid
	}
	user := answer.Status.User
	return caller{name: user.Username, uid: user.UID, scopes: user.Extra[scopeKey]}, nil
}

func (r *reviewer) ask(ctx context.Context, review authenticationv1.TokenReview) (*authenticationv1.TokenReview, error) {
	credential, err := os.ReadFile(r.tokenFile) // it is renewed while we run
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(review)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(credential)))
	res, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was read whole, or is of no use
	reply, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("the reviewer answered %s: %.200s", res.Status, reply)
	}
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(reply, &answer); err != nil {
		return nil, err
	}
	if answer.Kind != "TokenReview" { // some other JSON must not pass for a no
		return nil, fmt.Errorf("the reviewer answered with a %q", answer.Kind)
	}
	return &answer, nil
}
