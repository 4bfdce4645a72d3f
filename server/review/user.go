package review

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/token"
)

// userInfo is who the token is for, in Kubernetes' words. kube-apiserver believes whatever stands here, so that a name which could be
// mistaken for one of its own is an error.
func userInfo(iss *registry.Issuer, a *token.Active, scopes []string) (authenticationv1.UserInfo, error) {
	info := authenticationv1.UserInfo{Extra: extra(iss, a, scopes)}
	user, err := a.KubernetesUser()
	if err != nil {
		return info, err
	}
	info.UID = user.UID
	info.Username, info.Groups, err = user.Prefixed(iss.Config)
	return info, err
}

func extra(iss *registry.Issuer, a *token.Active, scopes []string) map[string]authenticationv1.ExtraValue {
	e := map[string]authenticationv1.ExtraValue{
		oauth.ExtraCredentialID: {"JTI=" + a.ID},
		oauth.ExtraIssuer:       {iss.URL},
		oauth.ExtraClientID:     {a.ClientID},
	}
	if len(scopes) > 0 {
		e[oauth.ExtraScope] = scopes
	}
	if actors := a.Actors(); len(actors) > 0 {
		e[oauth.ExtraActor] = actors
	}
	if a.GrantID != "" {
		e[oauth.ExtraGrantID] = authenticationv1.ExtraValue{a.GrantID}
	}
	return e
}
