package kubernetes

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/together"
)

func newEntry[V any](o client.Object, value *V, usedUntil time.Time) *entry[V] {
	return &entry[V]{value: value, name: o.GetName(), uid: o.GetUID(), version: o.GetResourceVersion(), usedUntil: usedUntil}
}

// newGrantEntry reads a grant. An id must not be used again for as long as a code lives, even if its grant is over.
func newGrantEntry(o *v1alpha1.OAuthGrant) *entry[store.Grant] {
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
		Targets:             targetsOf(o.Spec.Resources),
		UserinfoClaims:      o.Spec.UserinfoClaims,
		IDTokenClaims:       o.Spec.IDTokenClaims,
		ExpiresAt:           o.Expiry().Time,
		Attempt:             o.Spec.Attempt,
		RevokedReason:       o.Status.RevokedReason,
	}
	if o.Spec.RefreshUntil != nil {
		g.RefreshUntil = o.Spec.RefreshUntil.Time
		g.Generation, g.RotatedAt = max(o.Status.Generation, 1), g.IssuedAt.Truncate(time.Second)
		if o.Status.RotatedAt != nil {
			g.RotatedAt = o.Status.RotatedAt.Time
		}
	}
	if o.Status.RevokedAt != nil {
		g.RevokedAt = o.Status.RevokedAt.Time
	}
	usedUntil := o.CreationTimestamp.Add(remembered)
	if g.ExpiresAt.After(usedUntil) {
		usedUntil = g.ExpiresAt
	}
	e := newEntry(o, g, usedUntil)
	together.Put(&g.ID, &e.version, (*string)(&e.uid), &g.SessionID, &g.Attempt)
	e.name = g.ID
	return e
}

// newGrantObject is the object for a grant. It shares nothing with it: the API server's answer is read into the same object, and
// kept. Nothing of it stands in labels: a client_id may be longer than their values.
func newGrantObject(namespace string, g *store.Grant) *v1alpha1.OAuthGrant {
	o := &v1alpha1.OAuthGrant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: g.ID},
		Spec: v1alpha1.OAuthGrantSpec{
			AuthorizationServerName: g.AuthorizationServer,
			ClientID:                g.ClientID,
			ClientUID:               g.ClientUID,
			User:                    v1alpha1.GrantUser{Name: g.User, UID: g.UserUID},
			SessionID:               g.SessionID,
			AuthTime:                metav1.NewTime(g.AuthTime),
			IssuedAt:                metav1.NewMicroTime(g.IssuedAt),
			Scopes:                  slices.Clone(g.Scopes),
			Resources:               resourcesOf(g.Targets),
			UserinfoClaims:          slices.Clone(g.UserinfoClaims),
			IDTokenClaims:           slices.Clone(g.IDTokenClaims),
			ExpiresAt:               metav1.NewTime(g.ExpiresAt),
			Attempt:                 g.Attempt,
		},
	}
	if !g.RefreshUntil.IsZero() {
		until := metav1.NewTime(g.RefreshUntil)
		o.Spec.RefreshUntil = &until
	}
	return o
}

func newDeviceEntry(o *v1alpha1.OAuthDeviceAuthorization) *entry[store.Device] {
	d := &store.Device{
		Name:                o.Name,
		ID:                  o.Spec.ID,
		AuthorizationServer: o.Spec.AuthorizationServerName,
		ClientID:            o.Spec.ClientID,
		ClientUID:           o.Spec.ClientUID,
		Scopes:              o.Spec.Scopes,
		Targets:             targetsOf(o.Spec.Resources),
		Source:              o.Spec.Source,
		ExpiresAt:           o.Spec.ExpiresAt.Time,
	}
	if st := &o.Status; st.Decision != "" {
		d.Decision = &store.Decision{
			Approved:          st.Decision == v1alpha1.DeviceApproved,
			SessionID:         st.SessionID,
			CredentialVersion: st.CredentialVersion,
			Scopes:            st.Scopes,
			Targets:           targetsOf(st.Resources),
		}
		if st.DecidedAt != nil {
			d.Decision.At = st.DecidedAt.Time
		}
		if st.AuthTime != nil {
			d.Decision.AuthTime = st.AuthTime.Time
		}
		if st.User != nil {
			d.Decision.User, d.Decision.UserUID = st.User.Name, st.User.UID
		}
	}
	return newEntry(o, d, d.ExpiresAt)
}

// newDeviceObject is the object for a device authorization. It shares nothing with it: the API server's answer is read into
// the same object, and kept.
func newDeviceObject(namespace string, d *store.Device) *v1alpha1.OAuthDeviceAuthorization {
	return &v1alpha1.OAuthDeviceAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.Name},
		Spec: v1alpha1.OAuthDeviceAuthorizationSpec{
			AuthorizationServerName: d.AuthorizationServer,
			ClientID:                d.ClientID,
			ClientUID:               d.ClientUID,
			ID:                      d.ID,
			Scopes:                  slices.Clone(d.Scopes),
			Resources:               resourcesOf(d.Targets),
			Source:                  d.Source,
			ExpiresAt:               metav1.NewTime(d.ExpiresAt),
		},
	}
}

func newDeviceStatus(d *store.Decision) v1alpha1.OAuthDeviceAuthorizationStatus {
	at, authTime := metav1.NewTime(d.At), metav1.NewTime(d.AuthTime)
	status := v1alpha1.OAuthDeviceAuthorizationStatus{
		Decision:          v1alpha1.DeviceDenied,
		DecidedAt:         &at,
		User:              &v1alpha1.GrantUser{Name: d.User, UID: d.UserUID},
		SessionID:         d.SessionID,
		CredentialVersion: d.CredentialVersion,
		AuthTime:          &authTime,
		Scopes:            d.Scopes,
		Resources:         resourcesOf(d.Targets),
	}
	if d.Approved {
		status.Decision = v1alpha1.DeviceApproved
	}
	return status
}

func targetsOf(resources []v1alpha1.GrantResource) []store.Target {
	var targets []store.Target
	for _, r := range resources {
		targets = append(targets, store.Target{Resource: r.Identifier, Scopes: r.Scopes})
	}
	return targets
}

func resourcesOf(targets []store.Target) []v1alpha1.GrantResource {
	var resources []v1alpha1.GrantResource
	for _, t := range targets {
		resources = append(resources, v1alpha1.GrantResource{Identifier: t.Resource, Scopes: slices.Clone(t.Scopes)})
	}
	return resources
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
