package size

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	// perNamespace is how many clients share a namespace, and its API.
	perNamespace = 100
	// perUser is how many grants a user has.
	perUser = 10
	// visibleTimeout is how long the API server may take to know what etcd has.
	visibleTimeout = 2 * time.Minute
)

func namespaceOf(i int) string { return fmt.Sprintf("team-%04d", i/perNamespace) }

func nameOf(i int) string { return fmt.Sprintf("client-%06d", i) }

func clientID(i int) string { return namespaceOf(i) + "." + nameOf(i) }

func redirectURI(i int) string { return "https://" + nameOf(i) + ".example.com/callback" }

// secretOf is a client's secret. The controller would make 256 random bits of it; it takes as much memory in no case.
func secretOf(i int) string { return fmt.Sprintf("the-secret-of-client-%06d", i) }

// putClients has clients from until to, with their namespaces and APIs.
func (s *site) putClients(ctx context.Context, from, to int) error {
	for i := from / perNamespace * perNamespace; i < to; i += perNamespace {
		if err := s.putTeam(ctx, namespaceOf(i)); err != nil {
			return err
		}
	}
	err := s.etcd.put(ctx, to-from, func(i int) (pair, error) {
		i += from
		value, err := copyOf(s.source.client, func(c *v1alpha1.OAuthClient) { s.toClient(c, i) })
		return pair{[]byte(keyOf("oauthclients", namespaceOf(i), nameOf(i))), value}, err
	})
	if err != nil {
		return err
	}
	return s.visible(ctx, &v1alpha1.OAuthClientList{}, to+1) // and the one that is copied
}

func (s *site) putTeam(ctx context.Context, namespace string) error {
	err := s.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	return s.etcd.put(ctx, 1, func(int) (pair, error) {
		value, err := copyOf(s.source.api, func(rs *v1alpha1.ResourceServer) {
			rs.Namespace, rs.UID = namespace, types.UID(newUID())
			rs.Spec.Identifier = "https://" + apiName + "." + namespace + ".svc"
		})
		return pair{[]byte(keyOf("resourceservers", namespace, apiName)), value}, err
	})
}

// toClient makes the i-th client of a copy. Its status is what the controller would publish.
func (s *site) toClient(c *v1alpha1.OAuthClient, i int) {
	c.Namespace, c.Name, c.UID = namespaceOf(i), nameOf(i), types.UID(newUID())
	c.Spec.RedirectURIs = []v1alpha1.RedirectURI{v1alpha1.RedirectURI(redirectURI(i))}
	c.Spec.Resources[0].Namespace = c.Namespace
	c.Spec.Authentication.ClientSecret.SecretName = c.Name + "-oauth"
	c.Status.ClientID = clientID(i)
	s.publishSecret(c, secretOf(i))
}

// publishSecret writes the digest of a client's secret into its status.
func (s *site) publishSecret(c *v1alpha1.OAuthClient, secret string) {
	entry := v1alpha1.ClientSecretStatus{ID: randomID(16), CreatedAt: metav1.Now()}
	digest := s.source.keys.ClientDigest(string(c.UID), entry.ID, time.Time{}, secret)
	entry.Digest = base64.RawURLEncoding.EncodeToString(digest[:])
	c.Status.Secrets = []v1alpha1.ClientSecretStatus{entry}
}

// putGrants has n grants, which expire so long from now. Those that are there are replaced.
func (s *site) putGrants(ctx context.Context, n int, expiry time.Duration) error {
	if len(s.grants) < n {
		s.grants = make([]string, n)
		for i := range s.grants {
			s.grants[i] = randomID(32)
		}
	}
	at := metav1.NewTime(time.Now().Add(expiry))
	var user v1alpha1.GrantUser
	err := s.etcd.put(ctx, n, func(i int) (pair, error) {
		if i%perUser == 0 {
			user = v1alpha1.GrantUser{Name: fmt.Sprintf("user-%06d", i/perUser), UID: newUID()}
		}
		value, err := copyOf(s.source.grant, func(g *v1alpha1.OAuthGrant) {
			g.Name, g.UID = s.grants[i], types.UID(newUID())
			g.Spec.ClientID, g.Spec.ClientUID = clientID(i), newUID()
			g.Spec.User, g.Spec.SessionID, g.Spec.Attempt = user, randomID(26), randomID(26)
			g.Spec.Resources[0].Identifier = "https://" + apiName + "." + namespaceOf(i) + ".svc"
			g.Spec.ExpiresAt, g.Spec.RefreshUntil = at, &at
		})
		return pair{[]byte(keyOf("oauthgrants", operatorNamespace, s.grants[i])), value}, err
	})
	if err != nil {
		return err
	}
	return s.visible(ctx, &v1alpha1.OAuthGrantList{}, n)
}

// visible waits until the API server knows of n objects at least.
func (s *site) visible(ctx context.Context, list client.ObjectList, n int) error {
	return poll(ctx, visibleTimeout, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		there, err := s.count(ctx, list)
		return there >= n, err
	})
}

// count is how many objects there are. The API server tells with a page of one how many are left.
func (s *site) count(ctx context.Context, list client.ObjectList) (int, error) {
	if err := s.admin.List(ctx, list, client.Limit(1)); err != nil {
		return 0, err
	}
	n := 1
	if left := list.GetRemainingItemCount(); left != nil {
		n += int(*left)
	} else if list.GetContinue() == "" {
		n = lengthOf(list)
	}
	return n, nil
}

func lengthOf(list client.ObjectList) int {
	switch l := list.(type) {
	case *v1alpha1.OAuthClientList:
		return len(l.Items)
	case *v1alpha1.OAuthGrantList:
		return len(l.Items)
	}
	return 0
}

// randomID is of lower-case letters and digits.
func randomID(length int) string {
	return strings.ToLower(rand.Text() + rand.Text())[:length]
}

func newUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
