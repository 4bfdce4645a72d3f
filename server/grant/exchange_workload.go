package grant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// maxWorkloadLifetime bounds tokens that are got for a ServiceAccount's own: nobody tells this server when the ServiceAccount, or its
// pod, is gone.
const maxWorkloadLifetime = 5 * time.Minute

// defaultAccount is whom a pod runs as that names no ServiceAccount: nobody in particular.
const defaultAccount = "default"

// Workloads knows the ServiceAccounts of the cluster.
type Workloads interface {
	// Workload says whose a token is that somebody at an address has shown, if it is a ServiceAccount's and good for the audience. Nil is a
	// definite no; an error means that the answer is not known.
	Workload(ctx context.Context, from netip.Addr, audience, raw string) (*token.Workload, error)
}

// subjectWorkload reads the token with which a ServiceAccount called an API that names the client. kube-apiserver is asked about it, for
// that API as audience and no other; about what can't be such a token it is not asked. A token that is for others as well is refused: it
// is theirs to use, too, and for an issuer it would be the credential of a client.
func (h *Handler) subjectWorkload(ctx context.Context, req *request, raw string) (*subject, error) {
	claimed, audiences := token.PeekAudience(raw), presentable(req, raw)
	expiry, expires := token.PeekExpiry(raw)
	switch {
	case h.Workloads == nil:
		return nil, oauth.Errorf(oauth.InvalidRequest, "subject_token_type: tokens of ServiceAccounts are not taken here")
	case len(claimed) != 1 || len(audiences) != 1:
		return nil, errSubjectToken(errors.New("it is not for one audience alone, which lets the client exchange its tokens"))
	case !expires:
		return nil, errSubjectToken(errors.New("it does not expire"))
	}
	w, err := h.Workloads.Workload(ctx, req.source, audiences[0], raw)
	switch {
	case err != nil:
		return nil, errSubjectUnknown(err)
	case w == nil:
		return nil, errSubjectToken(errors.New("not a good ServiceAccount token for the audience"))
	}
	req.audit = append(req.audit, auditWorkload(w))
	switch {
	case w.Name == defaultAccount:
		return nil, errSubjectToken(errors.New("ServiceAccount default is nobody in particular"))
	case !req.iss.Accepts(w.Namespace):
		return nil, errSubjectToken(fmt.Errorf("the issuer does not accept namespace %s", w.Namespace))
	}
	return &subject{
		basis: basis{workload: w, notAfter: earliest(expiry, req.now.UTC().Truncate(time.Second).Add(maxWorkloadLifetime))},
		may:   func(r *registry.Resource, scope *registry.Scope) bool { return mayHaveFor(w, r, scope) },
	}, nil
}

// mayHaveFor says whether a token with the scope may be had on behalf of a workload: not at the API that it has called, where its own
// token has none, whatever other APIs it is handed on through; not at kube-apiserver, where it has a token of its own; and it is in no group.
func mayHaveFor(w *token.Workload, r *registry.Resource, scope *registry.Scope) bool {
	return !r.Kubernetes && r.Identifier != w.Called && len(scope.RequiredGroups) == 0
}

func auditWorkload(w *token.Workload) slog.Attr {
	return slog.String("subject_service_account", w.Namespace+"/"+w.Name)
}
