package clientauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// accountPrefix begins the `sub` of a ServiceAccount's token. No client_id has a colon.
	accountPrefix = "system:serviceaccount:"
	// defaultAccount is whom a pod runs as that names no ServiceAccount. It is no client, whatever is declared.
	defaultAccount = "default"
)

// isAccountToken says whether an assertion claims to be the token of a ServiceAccount, which decides who is asked about it.
func isAccountToken(assertion string) bool {
	return strings.HasPrefix(token.PeekSubject(assertion), accountPrefix)
}

// readAccount reads the token of a ServiceAccount. It says nothing of clients, and may stand for several: client_id must.
func readAccount(form url.Values) (credentials, error) {
	if form.Get("client_id") == "" {
		return credentials{}, errUnnamed()
	}
	return credentials{method: oauth.AuthMethodServiceAccount, clientID: form.Get("client_id"), account: form.Get("client_assertion")}, nil
}

func errUnnamed() *oauth.Error {
	return oauth.Errorf(oauth.InvalidClient, "client_id is missing: a ServiceAccount token does not name a client")
}

// authenticateAccount proves a client by the token of a ServiceAccount that it is declared to be. The token must be for the issuer. It is
// the pod's for an hour, say, and is shown again and again: its `jti` is not held against it. kube-apiserver is asked for clients
// alone that are declared so, or anybody could have it asked without knowing one; that they are is no secret.
func (a *Authenticator) authenticateAccount(r *http.Request, iss *registry.Issuer, client *registry.Client, raw string) (Caller, error) {
	if client == nil || client.Public || len(client.ServiceAccounts) == 0 || a.accounts == nil {
		return Caller{}, errFailed()
	}
	namespace, name, err := a.accounts.ServiceAccount(r.Context(), a.source(r), iss.URL, raw)
	switch {
	case err != nil:
		return Caller{}, oauth.Errorf(oauth.TemporarilyUnavailable, "the ServiceAccount token could not be checked; try again").Wrap(err)
	case name == "":
		return Caller{}, errFailed().Wrap(errors.New("not a good ServiceAccount token for the issuer"))
	case namespace != client.Namespace || name == defaultAccount || !slices.Contains(client.ServiceAccounts, name):
		return Caller{}, errFailed().Wrap(fmt.Errorf("ServiceAccount %s/%s is not the client", namespace, name))
	}
	return Caller{Client: client, Method: oauth.AuthMethodServiceAccount, ServiceAccount: name}, nil
}
