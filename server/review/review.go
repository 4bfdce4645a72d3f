// Package review answers TokenReviews (authentication.k8s.io/v1 and v1beta1) about the access tokens of all issuers, at the
// path at which kube-apiserver answers them, on a listener of its own. It is the webhook token authenticator of
// kube-apiserver, and what services ask directly with any Kubernetes client library.
//
// What is answered:
//
//   - A good token: authenticated, always with audiences, the ones that are asked for, in the token, and still declared.
//     Without them kube-apiserver would take any resource's token for its own.
//   - A definite no: authenticated false and nothing else. kube-apiserver caches it.
//   - Not known, as when the store can't be read: HTTP 500 with reason InternalError. kube-apiserver tries again up to
//     five times and caches nothing. status.error would not do: unless the audiences asked for are its own, kube-apiserver
//     doesn't look at it, and caches a no.
//   - A caller that is not proven: HTTP 401. One that may not review an audience is told the same as if the token were bad.
package review

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationv1beta1 "k8s.io/api/authentication/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
	"github.com/latchkey-io/latchkey/server/workload"
)

// kind is what is posted and answered.
const kind = "TokenReview"

// paths are where TokenReviews are answered, with the version that a request has which names none.
var paths = map[string]string{
	"/apis/authentication.k8s.io/v1/tokenreviews":      authenticationv1.SchemeGroupVersion.String(),
	"/apis/authentication.k8s.io/v1beta1/tokenreviews": authenticationv1beta1.SchemeGroupVersion.String(),
}

// Handler is the reviewer. Its listener must ask for a client certificate and verify it if one is given
// (tls.VerifyClientCertIfGiven) against an authority that vouches for kube-apiserver alone; without such an authority it
// must not ask at all.
type Handler struct {
	// Holder gives the snapshot that a request sees.
	Holder *registry.Holder
	// Verifier says which tokens are good.
	Verifier *token.Verifier
	// Proven says whether the client certificate of a connection still counts. When nil, it does for as long as the connection is open.
	Proven func(*tls.ConnectionState) bool
	// Callers proves and authorizes ServiceAccounts. When nil, kube-apiserver is the only caller.
	Callers *workload.Callers
	// Logger takes failures and why a token or a caller was refused; never a token.
	Logger *slog.Logger
}

// ServeHTTP answers a TokenReview.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := h.recovered(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.sent(r, oauth.WriteObject(w, http.StatusOK, body))
}

// recovered turns a panic into "not known": net/http would say so to the log for those who look closely alone.
func (h *Handler) recovered(w http.ResponseWriter, r *http.Request) (body *oauth.Object, err error) {
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	answer, err := h.serve(w, r)
	if err != nil {
		return nil, err
	}
	return encode(answer), nil
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (*authenticationv1.TokenReview, error) {
	version, ok := paths[r.URL.Path]
	if !ok {
		return nil, apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "TokenReviews are answered here and nothing else", 0, false)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, apierrors.NewMethodNotSupported(tokenReviews, strings.ToLower(r.Method))
	}
	snapshot := h.Holder.Load()
	if snapshot == nil {
		return nil, errors.New("no snapshot of the registry yet")
	}
	caller, err := h.caller(r, snapshot)
	if err != nil {
		return nil, err
	}
	asked, err := decode(w, r, version)
	if err != nil {
		return nil, err
	}
	answer := &authenticationv1.TokenReview{TypeMeta: asked.TypeMeta} // without the token, which the caller has
	answer.Status, err = h.review(r.Context(), snapshot, caller, &asked.Spec)
	return answer, err
}

// fail answers with a Status. What is not meant for the caller becomes "try again", and is logged.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		h.Logger.ErrorContext(r.Context(), "a TokenReview could not be answered", "error", err)
		status = apierrors.NewInternalError(errors.New("the token could not be checked; try again"))
	}
	body := status.Status()
	body.Kind, body.APIVersion = "Status", "v1"
	if body.Code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tokenreviews"`)
	}
	if body.Details != nil && body.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(body.Details.RetryAfterSeconds))
	}
	text, err := json.Marshal(body)
	if err != nil {
		h.Logger.ErrorContext(r.Context(), "a Status could not be written", "error", err)
		w.WriteHeader(int(body.Code))
		return
	}
	h.sent(r, oauth.WriteJSONBody(w, int(body.Code), text))
}

// sent takes what came of sending an answer.
func (h *Handler) sent(r *http.Request, err error) {
	if err != nil {
		h.Logger.DebugContext(r.Context(), "a TokenReview's answer could not be sent", "error", err)
	}
}

// tokenReviews is what Statuses are about.
var tokenReviews = schema.GroupResource{Group: authenticationv1.GroupName, Resource: "tokenreviews"}
