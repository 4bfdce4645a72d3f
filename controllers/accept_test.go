package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// picky is an issuer for namespaces with the label oauth=yes.
func picky(t *testing.T, name string) *v1alpha1.AuthorizationServer {
	t.Helper()
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuthorizationServerSpec{
		Issuer:            "https://" + name + ".example.com",
		AllowedNamespaces: &v1alpha1.NamespaceMatch{Selector: metav1.LabelSelector{MatchLabels: map[string]string{"oauth": "yes"}}},
	}}
	running.create(t, as)
	t.Cleanup(func() { deleteWithKeys(t, running, operatorNamespace, as) })
	return as
}

func label(t *testing.T, namespace, value string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	change(t, running, ns, func(ns *corev1.Namespace) { ns.Labels["oauth"] = value })
}

func TestNamespaceLabelsDecideWhetherAClientIsAccepted(t *testing.T) {
	picky(t, "picky")
	c := storefront(t, func(c *v1alpha1.OAuthClient) { c.Spec.AuthorizationServerName = "picky" })
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
	becomes(t, c, v1alpha1.ConditionSecretReady, metav1.ConditionUnknown, v1alpha1.ReasonNamespaceNotAllowed)
	label(t, c.Namespace, "yes")
	becomesReady(t, c)
	label(t, c.Namespace, "no")
	becomes(t, c, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
}

func TestNamespaceLabelsDecideWhetherAResourceServerIsAccepted(t *testing.T) {
	picky(t, "choosy")
	rs := orders(running.namespace(t, nil))
	rs.Spec.AuthorizationServerNames = []string{"choosy"}
	running.create(t, rs)
	resourceBecomes(t, rs, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
	label(t, rs.Namespace, "yes")
	resourceBecomes(t, rs, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if got := rs.Status.AuthorizationServerNames; len(got) != 1 || got[0] != "choosy" {
		t.Errorf("accepted by %v", got)
	}
	label(t, rs.Namespace, "no")
	resourceBecomes(t, rs, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
}

func TestClientFollowsTheResourceServerItUses(t *testing.T) {
	c := storefront(t)
	rs := orders(running.namespace(t, nil))
	c.Spec.Resources = []v1alpha1.ResourceReference{{Namespace: rs.Namespace, Name: rs.Name, Scopes: []string{"orders.read"}}}
	running.create(t, c)
	becomes(t, c, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotFound)
	running.create(t, rs)
	becomes(t, c, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotPermitted)
	change(t, running, rs, func(rs *v1alpha1.ResourceServer) {
		rs.Spec.Access = []v1alpha1.AccessRule{{Clients: []string{"storefront"}, Scopes: []string{"orders.read"}}}
	})
	becomesReady(t, c)
	must(t, running.api.Delete(t.Context(), rs))
	becomes(t, c, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonRefNotFound)
}

func TestIdentifierPassesToTheNextWhenItsHolderGoes(t *testing.T) {
	const identifier = "https://api.shared.example/"
	as := &v1alpha1.AuthorizationServer{ObjectMeta: metav1.ObjectMeta{Name: "assigning"}, Spec: v1alpha1.AuthorizationServerSpec{
		Issuer:              "https://assigning.example.com",
		ResourceIdentifiers: []v1alpha1.ResourceIdentifierAssignment{{Prefix: identifier}},
	}}
	running.create(t, as)
	t.Cleanup(func() { deleteWithKeys(t, running, operatorNamespace, as) })
	first, second := orders(running.namespace(t, nil)), orders(running.namespace(t, nil))
	for _, rs := range []*v1alpha1.ResourceServer{first, second} {
		rs.Spec.AuthorizationServerNames, rs.Spec.Identifier = []string{"assigning"}, identifier
		running.create(t, rs)
		t.Cleanup(func() { must(t, client.IgnoreNotFound(running.api.Delete(context.Background(), rs))) })
	}
	holder, other := first, second
	if first.CreationTimestamp.Equal(&second.CreationTimestamp) && second.UID < first.UID {
		holder, other = second, first
	}
	resourceBecomes(t, holder, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	resourceBecomes(t, other, metav1.ConditionFalse, v1alpha1.ReasonIdentifierConflict)
	must(t, running.api.Delete(t.Context(), holder))
	resourceBecomes(t, other, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

func TestLocalUserWaitsForItsPassword(t *testing.T) {
	user := &v1alpha1.LocalUser{ObjectMeta: metav1.ObjectMeta{Name: "alice"}, Spec: v1alpha1.LocalUserSpec{PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "alice-password"}}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: "alice-password"}, Data: map[string][]byte{compile.PasswordHashKey: []byte("wonderland")}}
	running.create(t, user)
	t.Cleanup(func() {
		must(t, running.api.Delete(context.Background(), user))
		must(t, client.IgnoreNotFound(running.api.Delete(context.Background(), secret)))
	})
	userBecomes(t, user, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	running.create(t, secret)
	userBecomes(t, user, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	text, err := json.Marshal(user)
	must(t, err)
	if strings.Contains(string(text), "wonderland") {
		t.Error("the password is in the status")
	}
	change(t, running, secret, func(s *corev1.Secret) {
		s.Data[compile.PasswordHashKey] = []byte("$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	})
	userBecomes(t, user, metav1.ConditionTrue, v1alpha1.ReasonReady)
	change(t, running, user, func(u *v1alpha1.LocalUser) { u.Spec.Disabled = true })
	userBecomes(t, user, metav1.ConditionTrue, v1alpha1.ReasonDisabled)
}

func TestMeaningfulChangesAreEvents(t *testing.T) {
	first := storefront(t)
	running.create(t, first)
	becomesReady(t, first) // the issuer has its keys
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	reasons := func() (out []string) {
		var list eventsv1.EventList
		must(t, running.api.List(t.Context(), &list, client.InNamespace(c.Namespace)))
		for _, e := range list.Items {
			if e.Regarding.UID == c.UID {
				out = append(out, e.Reason)
			}
		}
		return out
	}
	tells := func(want ...string) {
		t.Helper()
		slices.Sort(want)
		eventually(t, fmt.Sprintf("Events %v", want), func() (bool, error) {
			got := reasons()
			slices.Sort(got)
			return slices.Equal(got, want), nil
		})
	}
	change(t, running, c, func(c *v1alpha1.OAuthClient) {
		c.Spec.Resources = []v1alpha1.ResourceReference{{Namespace: c.Namespace, Name: "none", Scopes: []string{"any"}}}
	})
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRefNotFound)
	tells(v1alpha1.ReasonRefNotFound) // and not that it was made as declared
	change(t, running, c, func(c *v1alpha1.OAuthClient) { c.Spec.Resources = nil })
	becomesReady(t, c)
	tells(v1alpha1.ReasonRefNotFound, v1alpha1.ReasonReady)
	must(t, running.api.Delete(t.Context(), running.secret(t, c.Namespace, "storefront-oauth")))
	tells(v1alpha1.ReasonRefNotFound, v1alpha1.ReasonReady, "SecretCreated")
}

func TestNothingIsWrittenWhenNothingChanges(t *testing.T) {
	c := storefront(t)
	running.create(t, c)
	becomesReady(t, c)
	settled := c.ResourceVersion
	// A label is an event that changes nothing; once its effect on another client of the namespace is seen, this one was looked at too.
	label(t, c.Namespace, "whatever")
	other := storefront(t, func(o *v1alpha1.OAuthClient) { o.Namespace, o.Name = c.Namespace, "other" })
	other.Spec.Authentication.ClientSecret.SecretName = "other"
	running.create(t, other)
	becomesReady(t, other)
	must(t, running.api.Get(t.Context(), client.ObjectKeyFromObject(c), c))
	if c.ResourceVersion != settled {
		t.Error("the OAuthClient was written without need")
	}
}

func TestHealthIsServed(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		eventually(t, path, func() (bool, error) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+healthAddress+path, nil)
			must(t, err)
			answer, err := http.DefaultClient.Do(req)
			if err != nil {
				return false, nil // not listening yet
			}
			_, err = io.Copy(io.Discard, answer.Body)
			return answer.StatusCode == http.StatusOK, errors.Join(err, answer.Body.Close())
		})
	}
}

func orders(namespace string) *v1alpha1.ResourceServer {
	return &v1alpha1.ResourceServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders"}, Spec: v1alpha1.ResourceServerSpec{
		Identifier: "https://orders." + namespace + ".svc",
		Scopes:     []v1alpha1.Scope{{Name: "orders.read", Description: "See your orders"}},
	}}
}

func resourceBecomes(t *testing.T, rs *v1alpha1.ResourceServer, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, "Accepted="+string(status)+" "+reason, func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(rs), rs)
		return says(rs.Status.Conditions, v1alpha1.ConditionAccepted, status, reason), err
	})
}

func userBecomes(t *testing.T, u *v1alpha1.LocalUser, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, "Ready="+string(status)+" "+reason, func() (bool, error) {
		err := running.api.Get(t.Context(), client.ObjectKeyFromObject(u), u)
		return u.Status.ObservedGeneration == u.Generation && says(u.Status.Conditions, v1alpha1.ConditionReady, status, reason), err
	})
}
