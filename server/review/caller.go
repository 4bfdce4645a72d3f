package review

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/workload"
)

// caller is who asks.
type caller struct {
	// apiServer is true for kube-apiserver, known by its client certificate.
	apiServer bool
	// account is the ServiceAccount otherwise.
	account *workload.Caller
}

// caller finds out who asks. A ServiceAccount's token may be for any of the issuers.
func (h *Handler) caller(r *http.Request, s *registry.Snapshot) (*caller, error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && (h.Proven == nil || h.Proven(r.TLS)) {
		return &caller{apiServer: true}, nil
	}
	raw, ok := bearer(r.Header)
	if !ok || h.Callers == nil {
		return nil, apierrors.NewUnauthorized("a client certificate, or a ServiceAccount token whose audience is the issuer, is needed")
	}
	var issuers []string
	for _, i := range s.Issuers() {
		issuers = append(issuers, i.URL)
	}
	account, err := h.Callers.Authenticate(r.Context(), limit.Peer(r), issuers, raw)
	switch {
	case errors.Is(err, workload.ErrUnproven):
		return nil, apierrors.NewUnauthorized("the bearer token is not a ServiceAccount token whose audience is the issuer")
	case err != nil:
		return nil, retriable(err)
	}
	return &caller{account: account}, nil
}

// retriable is what to tell a caller about an answer that is not known.
func retriable(err error) error {
	if errors.Is(err, workload.ErrBusy) {
		return apierrors.NewTooManyRequests("too many callers at once", 1)
	}
	return err
}

// bearer is the token of the one Authorization header.
func bearer(header http.Header) (string, bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	return oauth.BearerToken(values[0])
}
