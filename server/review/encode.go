package review

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/latchkey-io/latchkey/server/oauth"
)

// encode writes an answer as Kubernetes' encoder does.
func encode(answer *authenticationv1.TokenReview) *oauth.Object {
	o := oauth.NewObject()
	o.String("kind", answer.Kind)
	o.String("apiVersion", answer.APIVersion)
	o.Open("metadata")
	o.Close()
	o.Open("spec")
	o.Close()
	o.Open("status")
	if answer.Status.Authenticated {
		o.Bool("authenticated", true)
	}
	o.Open("user")
	addUser(o, &answer.Status.User)
	o.Close()
	o.Strings("audiences", answer.Status.Audiences)
	o.String("error", answer.Status.Error)
	o.Close()
	return o
}

func addUser(o *oauth.Object, user *authenticationv1.UserInfo) {
	o.String("username", user.Username)
	o.String("uid", user.UID)
	o.Strings("groups", user.Groups)
	if len(user.Extra) == 0 {
		return
	}
	o.Open("extra")
	for key, values := range user.Extra {
		o.Strings(key, values)
	}
	o.Close()
}
