package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// review asks a server, or a service before several, about an access token once. An answer that is neither a yes nor a clean no is an error.
func (s *site) review(ctx context.Context, address, token string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	question, err := json.Marshal(&authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{s.identifier}},
	})
	if err != nil {
		return false, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/apis/authentication.k8s.io/v1/tokenreviews", bytes.NewReader(question))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/json")
	status, _, text, err := send(s.reviews, request)
	if err != nil {
		return false, err
	}
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(text, &answer); err != nil || status != http.StatusOK || answer.Status.Error != "" {
		return false, fmt.Errorf("a TokenReview was answered with HTTP %d: %s, %w", status, text, err)
	}
	return answer.Status.Authenticated, nil
}
