package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// review asks Latchkey about a token as the resource server does: with an ordinary TokenReview, for one audience, as a
// ServiceAccount that may review for that ResourceServer.
func (t *tour) review(ctx context.Context, token, audience string) (*authenticationv1.TokenReviewStatus, error) {
	reviewer, err := os.ReadFile(t.ReviewerToken)
	if err != nil {
		return nil, err
	}
	question, err := json.Marshal(&authenticationv1.TokenReview{
		TypeMeta: metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenReview"},
		Spec:     authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Review, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(reviewer)))
	response, err := t.direct.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("the TokenReview was answered with HTTP %d: %s", response.StatusCode, text)
	}
	var answer authenticationv1.TokenReview
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	if answer.Status.Error != "" {
		return nil, fmt.Errorf("the TokenReview could not be decided: %s", answer.Status.Error)
	}
	return &answer.Status, nil
}
