package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

const (
	appName    = "app"
	secretName = "app-oauth"
)

// team is a namespace with an API and a client of it, which has a Generated secret.
type team struct {
	t         *testing.T
	namespace string
}

// newTeam makes the namespace and the API. Its client is made by declare.
func newTeam(t *testing.T) *team {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	must(t, api.Create(t.Context(), ns))
	n := &team{t, ns.Name}
	t.Cleanup(func() { // in the background: deletion takes its time
		if err := client.IgnoreNotFound(api.Delete(context.WithoutCancel(t.Context()), ns)); err != nil {
			t.Error(err)
		}
	})
	must(t, api.Create(t.Context(), n.resource()))
	return n
}

func (n *team) resource() *v1alpha1.ResourceServer {
	return &v1alpha1.ResourceServer{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: "api"},
		Spec:       v1alpha1.ResourceServerSpec{Identifier: n.identifier(), Scopes: []v1alpha1.Scope{{Name: "read", Description: "Read"}}},
	}
}

func (n *team) identifier() string { return "https://api." + n.namespace + ".svc" }

// client is the client as the team declares it.
func (n *team) client(edits ...func(*v1alpha1.OAuthClient)) *v1alpha1.OAuthClient {
	c := &v1alpha1.OAuthClient{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: appName},
		Spec: v1alpha1.OAuthClientSpec{
			Type: v1alpha1.ClientConfidential, GrantTypes: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
			Resources:      []v1alpha1.ResourceReference{{Namespace: n.namespace, Name: "api", Scopes: []string{"read"}}},
			Authentication: &v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecret{Source: v1alpha1.SecretGenerated, SecretName: secretName}},
		},
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func (n *team) declare(edits ...func(*v1alpha1.OAuthClient)) *v1alpha1.OAuthClient {
	n.t.Helper()
	c := n.client(edits...)
	must(n.t, api.Create(n.t.Context(), c))
	return c
}

// edit changes an object, as often as somebody else is quicker.
func edit[T client.Object](t *testing.T, o T, change func(T)) {
	t.Helper()
	eventually(t, "change "+o.GetName(), func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return false, err
		}
		change(o)
		err := api.Update(ctx, o)
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// becomes waits until a condition of the client has the status and reason, and returns it.
func becomes(t *testing.T, c *v1alpha1.OAuthClient, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s/%s: %+v", c.Namespace, c.Name, c.Status.Conditions)
		}
	}()
	var found metav1.Condition
	eventually(t, fmt.Sprintf("%s/%s has %s=%s for %s", c.Namespace, c.Name, kind, status, reason), func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
			return false, err
		}
		if now := meta.FindStatusCondition(c.Status.Conditions, kind); now != nil {
			found = *now
		}
		return found.Status == status && found.Reason == reason && found.ObservedGeneration == c.Generation, nil
	})
	return found
}

func ready(t *testing.T, c *v1alpha1.OAuthClient) {
	t.Helper()
	becomes(t, c, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// secret is the client's Secret; an error when there is none.
func (n *team) secret(ctx context.Context) (*corev1.Secret, error) {
	var s corev1.Secret
	return &s, api.Get(ctx, client.ObjectKey{Namespace: n.namespace, Name: secretName}, &s)
}

// asks gets a token for the team's API with the credentials that the Secret holds. The error is the server's word for it, if
// there is one.
func (n *team) asks(ctx context.Context) error {
	s, err := n.secret(ctx)
	if err != nil {
		return err
	}
	return n.asksWith(ctx, string(s.Data["client-secret"]))
}

func (n *team) asksWith(ctx context.Context, secret string) error {
	_, err := n.token(ctx, issuer, secret)
	return err
}

func (n *team) token(ctx context.Context, at, secret string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {n.identifier()}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(n.namespace+"."+appName), url.QueryEscape(secret))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("%s: %s: %w", response.Status, text, err)
	}
	if answer.AccessToken == "" {
		return "", errors.New(answer.Error)
	}
	return answer.AccessToken, nil
}

// honoured waits until the server takes what the Secret holds.
func (n *team) honoured() {
	n.t.Helper()
	eventually(n.t, "the server knows the client", func(ctx context.Context) (bool, error) { return n.asks(ctx) == nil, nil })
}

// witness sees everything that happens to the Secrets of a namespace.
type witness struct {
	mu sync.Mutex
	// secrets are names of those that were made, once for each time; values the client secrets handed out, in order.
	secrets, values []string
	deleted         int
}

// watch follows the team's Secrets from now on.
func (n *team) watch() *witness {
	n.t.Helper()
	seen, err := api.Watch(n.t.Context(), &corev1.SecretList{}, client.InNamespace(n.namespace))
	must(n.t, err)
	w := &witness{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range seen.ResultChan() {
			w.note(e)
		}
	}()
	n.t.Cleanup(func() {
		seen.Stop()
		<-done
	})
	return w
}

func (w *witness) note(e watch.Event) {
	s, ok := e.Object.(*corev1.Secret)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Type {
	case watch.Added:
		w.secrets = append(w.secrets, s.Name)
	case watch.Deleted:
		w.deleted++
		return
	}
	if v := string(s.Data["client-secret"]); len(w.values) == 0 || w.values[len(w.values)-1] != v {
		w.values = append(w.values, v)
	}
}

// saw fails the test unless exactly one Secret was ever made, and it handed out so many client secrets, never one twice.
func (w *witness) saw(t *testing.T, values int) {
	t.Helper()
	eventually(t, "the watch has told of everything", func(context.Context) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.values) >= values, nil
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	different := map[string]bool{}
	for _, v := range w.values {
		different[v] = true
	}
	if len(w.secrets) != 1 || w.deleted != 0 || len(w.values) != values || len(different) != values {
		t.Errorf("Secrets made: %v, deleted: %d; %d client secrets were handed out, %d different ones, want %d", w.secrets, w.deleted, len(w.values), len(different), values)
	}
}

// holdsOneSecret fails the test if there is more than one Secret, or status tells of more than the one in it.
func (n *team) holdsOneSecret() {
	n.t.Helper()
	var all corev1.SecretList
	must(n.t, api.List(n.t.Context(), &all, client.InNamespace(n.namespace)))
	c := n.client()
	must(n.t, api.Get(n.t.Context(), client.ObjectKeyFromObject(c), c))
	if len(all.Items) != 1 || len(c.Status.Secrets) != 1 {
		n.t.Errorf("%d Secrets; status.secrets: %+v", len(all.Items), c.Status.Secrets)
	}
}
