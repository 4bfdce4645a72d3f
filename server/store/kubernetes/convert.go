package kubernetes

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/store/lookup"
)

// entry is a grant as some version of its object says. It never changes once it is in the index.
type entry struct {
	grant   *store.Grant
	uid     types.UID
	version string
	created time.Time
	// node is where the grant stands in the index's lookup.
	node *lookup.Node
}

// place is the entry's node; that of no entry is none.
func (e *entry) place() *lookup.Node {
	if e == nil {
		return nil
	}
	return e.node
}

func newEntry(o *v1alpha1.OAuthGrant) *entry {
	g := &store.Grant{
		ID:                  o.Name,
		AuthorizationServer: o.Spec.AuthorizationServerName,
		ClientID:            o.Spec.ClientID,
		ClientUID:           o.Spec.ClientUID,
		User:                o.Spec.User.Name,
		UserUID:             o.Spec.User.UID,
		SessionID:           o.Spec.SessionID,
		AuthTime:            o.Spec.AuthTime.Time,
		IssuedAt:            o.Spec.IssuedAt.Time,
		Scopes:              o.Spec.Scopes,
		UserinfoClaims:      o.Spec.UserinfoClaims,
		IDTokenClaims:       o.Spec.IDTokenClaims,
		ExpiresAt:           o.Expiry().Time,
		Attempt:             o.Spec.Attempt,
		RevokedReason:       o.Status.RevokedReason,
	}
	for _, r := range o.Spec.Resources {
		g.Targets = append(g.Targets, store.Target{Resource: r.Identifier, Scopes: r.Scopes})
	}
	if o.Spec.RefreshUntil != nil {
		g.RefreshUntil = o.Spec.RefreshUntil.Time
		g.Generation, g.RotatedAt = max(o.Status.Generation, 1), g.IssuedAt
		if o.Status.RotatedAt != nil {
			g.RotatedAt = o.Status.RotatedAt.Time
		}
	}
	if o.Status.RevokedAt != nil {
		g.RevokedAt = o.Status.RevokedAt.Time
	}
	return &entry{grant: g, uid: o.UID, version: o.ResourceVersion, created: o.CreationTimestamp.Time}
}

// newObject is the object for a grant. It shares nothing with it: the API server's answer is read into the same object, and
// kept. Nothing of it stands in labels: a client_id may be longer than their values.
func newObject(namespace string, g *store.Grant) *v1alpha1.OAuthGrant {
	o := &v1alpha1.OAuthGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: g.ID},
		Spec: v1alpha1.OAuthGrantSpec{
			AuthorizationServerName: g.AuthorizationServer,
			ClientID:                g.ClientID,
			ClientUID:               g.ClientUID,
			User:                    v1alpha1.GrantUser{Name: g.User, UID: g.UserUID},
			SessionID:               g.SessionID,
			AuthTime:                metav1.NewTime(g.AuthTime),
			IssuedAt:                metav1.NewTime(g.IssuedAt),
			Scopes:                  slices.Clone(g.Scopes),
			UserinfoClaims:          slices.Clone(g.UserinfoClaims),
			IDTokenClaims:           slices.Clone(g.IDTokenClaims),
			ExpiresAt:               metav1.NewTime(g.ExpiresAt),
			Attempt:                 g.Attempt,
		},
	}
	for _, t := range g.Targets {
		o.Spec.Resources = append(o.Spec.Resources, v1alpha1.GrantResource{Identifier: t.Resource, Scopes: slices.Clone(t.Scopes)})
	}
	if !g.RefreshUntil.IsZero() {
		until := metav1.NewTime(g.RefreshUntil)
		o.Spec.RefreshUntil = &until
	}
	return o
}

// validID says whether the id can be the name of an object made here: 63 lower-case letters and digits at most.
func validID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return id != "" && len(id) <= 63
}
