package token

import "strings"

// workloadPrefix begins the `sub` of a token that was got on behalf of a workload. Neither a client_id nor the subject of a user holds a
// colon.
const workloadPrefix = "system:serviceaccount:"

// Workload is a ServiceAccount, on whose behalf a client may get a token by exchange.
type Workload struct {
	Namespace, Name string
	// UID is the object's, so that one that is made again under the name is told from it.
	UID string
	// Called is the identifier of the API that it has called with a token of its own. That token has no scopes, and so nothing that was
	// got for it has any there.
	Called string
}

// Subject is the `sub`, as Kubernetes writes it: system:serviceaccount:<namespace>:<name>.
func (w *Workload) Subject() string { return workloadPrefix + w.Namespace + ":" + w.Name }

// ParseWorkload is the inverse of Subject. False for what is no ServiceAccount's name, and where the UID or the API that it called is not
// told.
func ParseWorkload(subject, uid, called string) (*Workload, bool) {
	rest, ok := strings.CutPrefix(subject, workloadPrefix)
	namespace, name, found := strings.Cut(rest, ":")
	if !ok || !found || uid == "" || called == "" || namespace == "" || name == "" || strings.Contains(name, ":") {
		return nil, false
	}
	return &Workload{Namespace: namespace, Name: name, UID: uid, Called: called}, true
}

// accountClaim is what a token says of a workload beside its `sub`.
type accountClaim struct {
	UID    string `json:"uid"`
	Called string `json:"aud"`
}
