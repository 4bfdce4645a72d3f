package discovery

import (
	"log/slog"
	"net/http"
	"net/url"

	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
)

// ForKubernetes serves what a kube-apiserver needs that verifies tokens itself (AuthenticationConfiguration), beside the TokenReviews of one
// that asks: at an address that it reaches, with a certificate by Latchkey's own authority, whatever the issuers' own host names, ingresses
// and certificates are. All of it is public.
type ForKubernetes struct {
	holder   *registry.Holder
	logger   *slog.Logger
	keyLists documents[keys.Set]
	mux      *http.ServeMux
}

// NewForKubernetes makes the handler of the URLs below oauth.KubernetesPath.
func NewForKubernetes(holder *registry.Holder, logger *slog.Logger) *ForKubernetes {
	h := &ForKubernetes{holder: holder, logger: logger, mux: http.NewServeMux()}
	h.mux.HandleFunc("GET "+oauth.KubernetesDiscoveryPath("{name}"), h.of(h.metadata))
	h.mux.HandleFunc("GET "+oauth.KubernetesJWKSPath("{name}"), h.of(h.jwks))
	return h
}

// ServeHTTP answers 404 for everything that is not there.
func (h *ForKubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// of finds the issuer of the AuthorizationServer that the URL names. While it is not known whether there is one, or its keys, the
// answer is to try again.
func (h *ForKubernetes) of(serve endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		snapshot := h.holder.Load()
		if snapshot == nil {
			http.Error(w, "the server has no current view of the cluster", http.StatusServiceUnavailable)
			return
		}
		iss, ok := snapshot.ByName(r.PathValue("name"))
		switch {
		case !ok || len(iss.KubernetesAudiences) == 0:
			http.NotFound(w, r)
		case iss.Keys == nil:
			http.Error(w, "the issuer has no keys yet", http.StatusServiceUnavailable)
		default:
			if err := serve(w, r, iss); err != nil {
				h.logger.DebugContext(r.Context(), "an answer for kube-apiserver could not be sent", "error", err)
			}
		}
	}
}

type endpoint func(http.ResponseWriter, *http.Request, *registry.Issuer) error

// verification is what of the metadata is needed to verify tokens, and what OpenID Connect Discovery section 3 requires.
type verification struct {
	Issuer                           string           `json:"issuer"`
	JWKSURI                          string           `json:"jwks_uri"`
	ResponseTypesSupported           []string         `json:"response_types_supported"`
	SubjectTypesSupported            []string         `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported []keys.Algorithm `json:"id_token_signing_alg_values_supported"`
}

// metadata names, for the keys, the address at which it was asked for itself: that is one which the caller reaches, and whose
// certificate it has verified for that name. The answer goes to nobody else, and is not kept.
func (h *ForKubernetes) metadata(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	at := url.URL{Scheme: "https", Host: r.Host, Path: oauth.KubernetesJWKSPath(iss.Name)}
	return oauth.WriteJSON(w, http.StatusOK, verification{
		Issuer: iss.URL, JWKSURI: at.String(),
		ResponseTypesSupported: []string{"code"}, SubjectTypesSupported: []string{"public", "pairwise"},
		IDTokenSigningAlgValuesSupported: iss.Algorithms,
	})
}

func (h *ForKubernetes) jwks(w http.ResponseWriter, r *http.Request, iss *registry.Issuer) error {
	d, err := h.keyLists.of(iss.Keys, func() ([]byte, error) { return iss.Keys.JWKS(), nil })
	if err != nil {
		return err
	}
	return d.serve(w, r, "application/jwk-set+json")
}
