package review

import (
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// Keys of user.extra.
const (
	// ExtraCredentialID is Kubernetes' own key; its value is "JTI=" and the token's jti.
	ExtraCredentialID = "authentication.kubernetes.io/credential-id"
	// ExtraIssuer is the issuer identifier.
	ExtraIssuer = "oauth.latchkey.io/issuer"
	// ExtraClientID is the client_id.
	ExtraClientID = "oauth.latchkey.io/client-id"
	// ExtraScope are the scopes that count now, one an item.
	ExtraScope = "oauth.latchkey.io/scope"
	// ExtraActor are the client_ids of those who act on behalf of the user, client or workload, the present one first; absent unless the
	// token was got by exchange (RFC 8693).
	ExtraActor = "oauth.latchkey.io/actor"
	// ExtraGrantID is the grant's id, absent where no user takes part.
	ExtraGrantID = "oauth.latchkey.io/grant-id"
)

// reserved is the beginning of names that mean something to Kubernetes itself: system:masters may do everything.
const reserved = "system:"

// userInfo is who the token is for, in Kubernetes' words: <prefix><username>, or <prefix>client:<namespace>:<name> for a
// client in its own right, or <prefix>serviceaccount:<namespace>:<name> for a workload. The last two no user can be, because a
// username holds no colon. kube-apiserver believes whatever stands here, so that a name which could be mistaken for one of its own
// is an error.
func userInfo(iss *registry.Issuer, a *token.Active, scopes []string) (authenticationv1.UserInfo, error) {
	info := authenticationv1.UserInfo{Extra: extra(iss, a, scopes)}
	name := "client:" + a.OriginClient.Namespace + ":" + a.OriginClient.Name
	info.UID = a.OriginClient.UID
	var groups []string
	if a.Workload != nil {
		name, info.UID = "serviceaccount:"+a.Workload.Namespace+":"+a.Workload.Name, a.Workload.UID
	}
	if a.User != nil {
		if a.User.Name == "" || strings.Contains(a.User.Name, ":") {
			return info, errors.New("the username is empty or holds a colon")
		}
		name, info.UID, groups = a.User.Name, a.User.UID, a.User.Groups
	}
	var err error
	if info.Username, err = prefixed(iss.UsernamePrefix, name); err != nil {
		return info, fmt.Errorf("username: %w", err)
	}
	for _, g := range groups {
		group, err := prefixed(iss.GroupsPrefix, g)
		if err != nil {
			return info, fmt.Errorf("group: %w", err)
		}
		info.Groups = append(info.Groups, group)
	}
	return info, nil
}

// prefixed refuses what would not be told from Kubernetes' own names.
func prefixed(prefix, name string) (string, error) {
	switch full := prefix + name; {
	case prefix == "" || name == "":
		return "", errors.New("neither the prefix nor the name may be empty")
	case strings.HasPrefix(strings.ToLower(full), reserved):
		return "", fmt.Errorf("it would begin with %q", reserved)
	default:
		return full, nil
	}
}

func extra(iss *registry.Issuer, a *token.Active, scopes []string) map[string]authenticationv1.ExtraValue {
	e := map[string]authenticationv1.ExtraValue{
		ExtraCredentialID: {"JTI=" + a.ID},
		ExtraIssuer:       {iss.URL},
		ExtraClientID:     {a.ClientID},
	}
	if len(scopes) > 0 {
		e[ExtraScope] = scopes
	}
	if actors := a.Actors(); len(actors) > 0 {
		e[ExtraActor] = actors
	}
	if a.GrantID != "" {
		e[ExtraGrantID] = authenticationv1.ExtraValue{a.GrantID}
	}
	return e
}
