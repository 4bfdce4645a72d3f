package site

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
	// PerNamespace is how many clients share a namespace, and its API.
	PerNamespace = 100
	// perUser is how many grants a user has.
	perUser = 10
	// VisibleTimeout is how long the API server may take to know what etcd has.
	VisibleTimeout = 2 * time.Minute
)

// NamespaceOf is where the i-th client is.
func NamespaceOf(i int) string { return fmt.Sprintf("team-%04d", i/PerNamespace) }

// NameOf is the name of the i-th client.
func NameOf(i int) string { return fmt.Sprintf("client-%06d", i) }

// ClientID is the client_id of the i-th client.
func ClientID(i int) string { return NamespaceOf(i) + "." + NameOf(i) }

// RedirectURI is that of the i-th client.
func RedirectURI(i int) string { return "https://" + NameOf(i) + ".example.com/callback" }

// Identifier is that of the API of the i-th client's namespace.
func Identifier(i int) string { return "https://" + APIName + "." + NamespaceOf(i) + ".svc" }

// uidOf is the UID of the i-th client, always the same.
func uidOf(i int) string { return fmt.Sprintf("c11e0000-0000-4000-8000-%012d", i) }

// SecretOf is a client's secret. The controller would make 256 random bits of it; it takes as much memory in no case.
func SecretOf(i int) string { return fmt.Sprintf("the-secret-of-client-%06d", i) }

// PutClients has clients from until to, with their namespaces and APIs.
func (s *Site) PutClients(ctx context.Context, from, to int) error {
	for i := from / PerNamespace * PerNamespace; i < to; i += PerNamespace {
		if err := s.putTeam(ctx, NamespaceOf(i)); err != nil {
			return err
		}
	}
	err := s.Etcd.put(ctx, to-from, func(i int) (pair, error) {
		i += from
		value, err := CopyOf(s.source.client, func(c *v1alpha1.OAuthClient) { s.toClient(c, i) })
		return pair{[]byte(KeyOf("oauthclients", NamespaceOf(i), NameOf(i))), value}, err
	})
	if err != nil {
		return err
	}
	return s.visible(ctx, &v1alpha1.OAuthClientList{}, to+1) // and the one that is copied
}

func (s *Site) putTeam(ctx context.Context, namespace string) error {
	err := s.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	return s.Etcd.put(ctx, 1, func(int) (pair, error) {
		value, err := CopyOf(s.source.api, func(rs *v1alpha1.ResourceServer) {
			rs.Namespace, rs.UID = namespace, types.UID(newUID())
			rs.Spec.Identifier = "https://" + APIName + "." + namespace + ".svc"
			if s.ChangeAPI != nil {
				s.ChangeAPI(namespace, rs)
			}
		})
		return pair{[]byte(KeyOf("resourceservers", namespace, APIName)), value}, err
	})
}

// toClient makes the i-th client of a copy. Its status is what the controller would publish.
func (s *Site) toClient(c *v1alpha1.OAuthClient, i int) {
	c.Namespace, c.Name, c.UID = NamespaceOf(i), NameOf(i), types.UID(uidOf(i))
	c.Spec.RedirectURIs = []v1alpha1.RedirectURI{v1alpha1.RedirectURI(RedirectURI(i))}
	c.Spec.Resources[0].Namespace = c.Namespace
	c.Spec.Authentication.ClientSecret.SecretName = c.Name + "-oauth"
	c.Status.ClientID = ClientID(i)
	s.PublishSecret(c, SecretOf(i))
}

// PublishSecret writes the digest of a client's secret into its status.
func (s *Site) PublishSecret(c *v1alpha1.OAuthClient, secret string) {
	entry := v1alpha1.ClientSecretStatus{ID: randomID(16), CreatedAt: metav1.Now()}
	digest := s.source.keys.ClientDigest(string(c.UID), entry.ID, time.Time{}, secret)
	entry.Digest = base64.RawURLEncoding.EncodeToString(digest[:])
	c.Status.Secrets = []v1alpha1.ClientSecretStatus{entry}
}

// PutGrants has n grants, which expire so long from now: the i-th is to the i-th client. Those that are there are replaced. The first ones, as
// many as are declared, are of the one user that there is, the others of users that are not declared, ten of each.
func (s *Site) PutGrants(ctx context.Context, n int, expiry time.Duration, declared int) error {
	for len(s.grants) < n {
		s.grants = append(s.grants, randomID(32))
	}
	at := metav1.NewTime(time.Now().Add(expiry))
	user := s.source.alice
	err := s.Etcd.put(ctx, n, func(i int) (pair, error) {
		if i == declared || i > declared && i%perUser == 0 {
			user = v1alpha1.GrantUser{Name: fmt.Sprintf("user-%06d", i/perUser), UID: newUID()}
		}
		value, err := CopyOf(s.source.grant, func(g *v1alpha1.OAuthGrant) {
			g.Name, g.UID = s.grants[i], types.UID(newUID())
			g.Spec.ClientID, g.Spec.ClientUID = ClientID(i), uidOf(i)
			g.Spec.User, g.Spec.SessionID, g.Spec.Attempt = user, randomID(26), randomID(26)
			g.Spec.Resources[0].Identifier = Identifier(i)
			g.Spec.ExpiresAt, g.Spec.RefreshUntil = at, &at
		})
		return pair{[]byte(KeyOf("oauthgrants", OperatorNamespace, s.grants[i])), value}, err
	})
	if err != nil {
		return err
	}
	return s.visible(ctx, &v1alpha1.OAuthGrantList{}, n)
}

// visible waits until the API server knows of n objects at least.
func (s *Site) visible(ctx context.Context, list client.ObjectList, n int) error {
	return Poll(ctx, VisibleTimeout, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		there, err := s.Count(ctx, list)
		return there >= n, err
	})
}

// Count is how many objects there are. The API server tells with a page of one how many are left.
func (s *Site) Count(ctx context.Context, list client.ObjectList) (int, error) {
	if err := s.Admin.List(ctx, list, client.Limit(1)); err != nil {
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
