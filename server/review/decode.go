package review

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/latchkey-io/latchkey/server/oauth"
)

const (
	// maxBody bounds a request, in bytes.
	maxBody = 64 << 10
	// maxAudiences bounds the audiences of a request: each may cost a SubjectAccessReview.
	maxAudiences = 32
	// protobufMagic begins an object in Kubernetes' protobuf encoding.
	protobufMagic = "k8s\x00"
)

// decode reads the request. Its apiVersion counts, and not the path: kube-apiserver posts either version to the one URL that it is
// given. The two have the same members. Answers are JSON, which whoever posts protobuf takes as well.
func decode(w http.ResponseWriter, r *http.Request, version string) (*authenticationv1.TokenReview, error) {
	read, ok := reader(r.Header.Get("Content-Type"))
	if !ok {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "post", tokenReviews, "", "a TokenReview is posted as application/json or application/vnd.kubernetes.protobuf", 0, false)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	body, err := oauth.ReadBody(r)
	defer body.Free()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("a TokenReview has %d bytes at most", maxBody))
	}
	if err != nil {
		return nil, apierrors.NewBadRequest("the body could not be read")
	}
	review := &authenticationv1.TokenReview{}
	if err := read(body.Bytes(), review); err != nil {
		return nil, apierrors.NewBadRequest("the body is not a TokenReview, or not in the encoding that Content-Type names")
	}
	if review.Kind == "" && review.APIVersion == "" {
		review.Kind, review.APIVersion = kind, version
	}
	switch {
	case review.Kind != kind || !knownVersion(review.APIVersion):
		return nil, apierrors.NewBadRequest("the body is not a TokenReview of authentication.k8s.io/v1 or v1beta1")
	case review.Spec.Token == "":
		return nil, apierrors.NewBadRequest("spec.token is missing")
	case len(review.Spec.Audiences) > maxAudiences:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("spec.audiences has more than %d items", maxAudiences))
	}
	return review, nil
}

// reader reads what a Content-Type stands for: JSON, as kube-apiserver posts it, or protobuf, which client-go prefers unless it is told
// otherwise.
func reader(contentType string) (func([]byte, *authenticationv1.TokenReview) error, bool) {
	switch media, _, err := mime.ParseMediaType(contentType); {
	case err != nil:
		return nil, false
	case media == runtime.ContentTypeJSON:
		return readJSON, true
	case media == runtime.ContentTypeProtobuf:
		return readProtobuf, true
	}
	return nil, false
}

// readJSON reads what counts of a TokenReview. A name that comes twice is an error: what one reader takes from such a body is not what another does.
func readJSON(body []byte, review *authenticationv1.TokenReview) error {
	var asked struct {
		metav1.TypeMeta `json:",inline"`
		Spec            authenticationv1.TokenReviewSpec `json:"spec"`
	}
	err := json.Unmarshal(body, &asked)
	review.TypeMeta, review.Spec = asked.TypeMeta, asked.Spec
	return err
}

// readProtobuf reads Kubernetes' protobuf encoding: a prefix, then the kind and the object.
func readProtobuf(body []byte, review *authenticationv1.TokenReview) error {
	rest, ok := bytes.CutPrefix(body, []byte(protobufMagic))
	if !ok {
		return errors.New("no Kubernetes object")
	}
	var object runtime.Unknown
	if err := object.Unmarshal(rest); err != nil {
		return err
	}
	if object.ContentEncoding != "" {
		return errors.New("an object within the object that is encoded")
	}
	if err := review.Unmarshal(object.Raw); err != nil {
		return err
	}
	review.Kind, review.APIVersion = object.Kind, object.APIVersion
	return nil
}

func knownVersion(apiVersion string) bool {
	for _, v := range paths {
		if v == apiVersion {
			return true
		}
	}
	return false
}
