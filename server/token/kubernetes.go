package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/server/registry"
)

const (
	// reserved is the beginning of names that mean something to Kubernetes itself: system:masters may do everything.
	reserved = "system:"
	// maxKubernetesClaim bounds what a token says for kube-apiserver, in bytes: nobody looks at a token of more than maxLength.
	maxKubernetesClaim = 3 << 10
)

// KubernetesUser is who a token is for, in Kubernetes' words, without the issuer's prefixes. It is what a TokenReview is answered with, and
// what a token for kube-apiserver says of itself, where that verifies tokens by itself: both name whom they mean alike.
type KubernetesUser struct {
	// Username is the user's, or client:<namespace>:<name> for a client in its own right, or serviceaccount:<namespace>:<name> for a
	// workload. The last two no user can be, because a username holds no colon.
	Username string `json:"username"`
	// UID is that of the LocalUser, OAuthClient or ServiceAccount.
	UID string `json:"uid"`
	// Groups are the user's.
	Groups []string `json:"groups,omitempty"`
	// Actors are Access.Actors.
	Actors []string `json:"actors,omitempty"`
}

// NewKubernetesUser names whose a token is: the user's, else the workload's, else that of the client in whose own right it is. user and
// workload are nil where none takes part. A name which could be mistaken for another's is an error.
func NewKubernetesUser(user *registry.User, workload *Workload, origin *registry.Client, actors []string) (*KubernetesUser, error) {
	switch {
	case user != nil && (user.Name == "" || strings.Contains(user.Name, ":")):
		return nil, errors.New("the username is empty or holds a colon")
	case user != nil && slices.Contains(user.Groups, ""):
		return nil, errors.New("a group has no name")
	case user != nil:
		return &KubernetesUser{user.Name, user.UID, user.Groups, actors}, nil
	case workload != nil:
		return &KubernetesUser{"serviceaccount:" + workload.Namespace + ":" + workload.Name, workload.UID, nil, actors}, nil
	case origin == nil:
		return nil, errors.New("there is no client in whose right it is")
	}
	return &KubernetesUser{"client:" + origin.Namespace + ":" + origin.Name, origin.UID, nil, actors}, nil
}

// Prefixed are the names as Kubernetes knows them, with the issuer's prefixes. Kubernetes believes whatever they are, so that one which
// it would not tell from its own is an error.
func (u *KubernetesUser) Prefixed(c *registry.Config) (username string, groups []string, err error) {
	if username, err = prefixed(c.UsernamePrefix, u.Username); err != nil {
		return "", nil, fmt.Errorf("username: %w", err)
	}
	for _, g := range u.Groups {
		group, err := prefixed(c.GroupsPrefix, g)
		if err != nil {
			return "", nil, fmt.Errorf("group: %w", err)
		}
		groups = append(groups, group)
	}
	return username, groups, nil
}

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

// Fits says whether a token can carry all of it. Fewer groups than there are would be another answer than a TokenReview's: then it
// carries none of it, and is worth nothing to a kube-apiserver that does not ask.
func (u *KubernetesUser) Fits() error {
	text, err := json.Marshal(u)
	if err == nil && len(text) > maxKubernetesClaim {
		err = fmt.Errorf("the names of user and groups have %d bytes, more than the %d that a token carries", len(text), maxKubernetesClaim)
	}
	return err
}

// KubernetesUser is who the token is for now.
func (a *Active) KubernetesUser() (*KubernetesUser, error) {
	return NewKubernetesUser(a.User, a.Workload, a.OriginClient, a.Actors())
}
