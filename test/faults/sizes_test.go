package faults

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// tooMany is how much of everything somebody may try to declare.
const tooMany = 1000

// many makes n different things.
func many[T any](n int, make func(i int) T) []T {
	var out []T
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

// long is the i-th of different texts of a length.
func long(i, length int) string { return fmt.Sprintf("%0*d", length, i) }

// A thousand of anything is refused by `kubectl apply`, which says how many there may be.
func TestAThousandIsRefused(t *testing.T) {
	t.Parallel()
	n := newTeam(t)
	word := func(i int) string { return fmt.Sprint("w", i) }
	for name, o := range map[string]client.Object{
		"redirect URIs": n.client(func(c *v1alpha1.OAuthClient) {
			c.Spec.RedirectURIs = many(tooMany, func(i int) v1alpha1.RedirectURI {
				return v1alpha1.RedirectURI(fmt.Sprintf("https://shop.example/%d", i))
			})
		}),
		"scopes of a client": n.client(func(c *v1alpha1.OAuthClient) { c.Spec.Resources[0].Scopes = many(tooMany, word) }),
		"resources": n.client(func(c *v1alpha1.OAuthClient) {
			c.Spec.Resources = many(tooMany, func(i int) v1alpha1.ResourceReference {
				return v1alpha1.ResourceReference{Namespace: n.namespace, Name: word(i), Scopes: []string{"read"}}
			})
		}),
		"scopes": n.edited(func(r *v1alpha1.ResourceServer) {
			r.Spec.Scopes = many(tooMany, func(i int) v1alpha1.Scope { return v1alpha1.Scope{Name: word(i), Description: "Read"} })
		}),
		"required groups": n.edited(func(r *v1alpha1.ResourceServer) { r.Spec.Scopes[0].RequiredGroups = many(tooMany, word) }),
		"access rules": n.edited(func(r *v1alpha1.ResourceServer) {
			r.Spec.Access = many(tooMany, func(int) v1alpha1.AccessRule {
				return v1alpha1.AccessRule{Clients: []string{"*"}, Scopes: []string{"*"}}
			})
		}),
		"groups of a user": &v1alpha1.LocalUser{ObjectMeta: metav1.ObjectMeta{Name: n.namespace}, Spec: v1alpha1.LocalUserSpec{Groups: many(5*tooMany, word)}},
	} {
		t.Run(name, func(t *testing.T) {
			o.GetObjectKind().SetGroupVersionKind(kindOf(t, o))
			text, err := yaml.Marshal(o)
			must(t, err)
			_, said, err := cluster.KubectlInput(t.Context(), strings.NewReader(string(text)), "apply", "--server-side", "--force-conflicts", "-f", "-")
			if err == nil || !strings.Contains(said, "must have at most") {
				t.Errorf("%v: %.500s", err, said)
			}
		})
	}
}

// edited is the team's ResourceServer with a change.
func (n *team) edited(change func(*v1alpha1.ResourceServer)) *v1alpha1.ResourceServer {
	r := n.resource()
	change(r)
	return r
}

// Objects that are as large as they may be are honoured like any other, and nobody waits for them.
func TestObjectsAtTheirBounds(t *testing.T) {
	t.Parallel()
	shared(t)
	n, others := newTeam(t), newTeam(t)
	edit(t, n.resource(), func(r *v1alpha1.ResourceServer) {
		*r = *atBounds(r)
	})
	app := n.declare(func(c *v1alpha1.OAuthClient) {
		c.Spec.GrantTypes = append(c.Spec.GrantTypes, v1alpha1.GrantAuthorizationCode)
		c.Spec.RedirectURIs = many(32, func(i int) v1alpha1.RedirectURI { return v1alpha1.RedirectURI("https://shop.example/" + long(i, 491)) })
		c.Spec.Resources[0].Scopes = many(100, func(i int) string { return long(i, 128) })
		for i := range 31 {
			c.Spec.Resources = append(c.Spec.Resources, v1alpha1.ResourceReference{Namespace: n.namespace, Name: fmt.Sprint("none-", i), Scopes: c.Spec.Resources[0].Scopes})
		}
		c.Annotations = map[string]string{"example.com/huge": strings.Repeat("x", 200<<10), v1alpha1.AnnotationRotate: strings.Repeat("x", 50<<10)}
	})
	if c := becomes(t, app, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotFound); !strings.Contains(c.Message, "none-30") {
		t.Errorf("message: %.300s", c.Message)
	}
	begin := time.Now()
	ready(t, others.declare())
	others.honoured()
	t.Logf("others were served %v after they were declared", time.Since(begin))

	edit(t, app, func(c *v1alpha1.OAuthClient) { c.Spec.Resources = c.Spec.Resources[:1] })
	ready(t, app)
	n.honoured()
	begin = time.Now()
	if err := n.asks(t.Context()); err != nil {
		t.Error(err)
	}
	n.signInIsOffered(app)
	t.Logf("a token and a page took %v", time.Since(begin))
}

// atBounds is a ResourceServer of more than a megabyte.
func atBounds(r *v1alpha1.ResourceServer) *v1alpha1.ResourceServer {
	r.Annotations = map[string]string{"example.com/huge": strings.Repeat("x", 200<<10)}
	r.Spec.DisplayName = long(0, 64)
	r.Spec.Scopes = many(100, func(i int) v1alpha1.Scope {
		return v1alpha1.Scope{Name: long(i, 128), Description: long(i, 200), RequiredGroups: many(i/4, func(i int) string { return long(i, 128) })}
	})
	r.Spec.Access = many(64, func(i int) v1alpha1.AccessRule {
		return v1alpha1.AccessRule{
			NamespaceSelector: metav1.LabelSelector{MatchLabels: map[string]string{"team": fmt.Sprint(i)}},
			Clients:           many(64, func(i int) string { return long(i, 63) }), Scopes: many(64, func(i int) string { return long(i, 128) }),
		}
	})
	return r
}

// signInIsOffered asks for a user's approval of all that fits into a request, and wants to be shown where to sign in.
func (n *team) signInIsOffered(c *v1alpha1.OAuthClient) {
	n.t.Helper()
	query := url.Values{
		"response_type": {"code"}, "client_id": {n.namespace + "." + appName}, "redirect_uri": {string(c.Spec.RedirectURIs[31])},
		"resource": {n.identifier()}, "scope": {strings.Join(c.Spec.Resources[0].Scopes[:20], " ")},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, issuer+"/authorize?"+query.Encode(), http.NoBody)
	must(n.t, err)
	direct := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := direct.Do(request)
	must(n.t, err)
	must(n.t, response.Body.Close())
	if to := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || !strings.Contains(to, "/login") {
		n.t.Errorf("%s to %.100s", response.Status, to)
	}
}

// What is larger than etcd takes is refused at `kubectl apply`.
func TestLargerThanEtcdTakes(t *testing.T) {
	t.Parallel()
	n := newTeam(t)
	r := atBounds(n.resource())
	r.Name, r.Spec.Identifier = "larger", "https://larger."+n.namespace+".svc"
	for i := range r.Spec.Scopes {
		r.Spec.Scopes[i].RequiredGroups = many(32, func(i int) string { return long(i, 128) })
	}
	for i := range r.Spec.Access {
		r.Spec.Access[i].Scopes = many(100, func(i int) string { return long(i, 128) })
	}
	if err := api.Create(t.Context(), r); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("created, or refused without a reason: %v", err)
	}
}
