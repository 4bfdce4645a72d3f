// Package v1alpha1 holds the kinds of the API group oauth.latchkey.io: the protagonists of OAuth 2.x (client, resource
// server, authorization server, user) and what a user granted. It has types, CEL rules and the names of conditions and
// reasons; no logic.
//
// +kubebuilder:object:generate=true
// +groupName=oauth.latchkey.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every kind in this package.
var GroupVersion = schema.GroupVersion{Group: "oauth.latchkey.io", Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&AuthorizationServer{}, &AuthorizationServerList{},
		&ResourceServer{}, &ResourceServerList{},
		&OAuthClient{}, &OAuthClientList{},
		&LocalUser{}, &LocalUserList{},
		&OAuthGrant{}, &OAuthGrantList{},
		&OAuthDeviceAuthorization{}, &OAuthDeviceAuthorizationList{},
		&OAuthSignOut{}, &OAuthSignOutList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
