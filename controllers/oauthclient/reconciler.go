// Package oauthclient gives every OAuthClient its Secret and publishes, in status, the digests by which the server knows
// the client.
package oauthclient

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// Reconciler keeps the Secret and the status of OAuthClients.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache. Secrets of tenants are read with it, one at a time: they are never kept in memory.
	Live client.Reader
	// Metadata reads from a cache of the metadata of all Secrets and ServiceAccounts (PartialObjectMetadata).
	Metadata client.Reader
	// Namespace is the operator's namespace.
	Namespace string
	Events    events.EventRecorder
	Now       func() time.Time

	parsed    compile.ParsedKeys
	published publications
	written   written
}

// Reconcile brings the Secret and the status of one OAuthClient to where they should be. When the client is deleted there
// is nothing to do: its Secret is garbage collected.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	result, err := r.reconcile(ctx, req)
	if r.written.missed(req.NamespacedName) && err == nil {
		result = status.Soon()
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var c v1alpha1.OAuthClient
	if err := r.Client.Get(ctx, req.NamespacedName, &c); err != nil {
		if apierrors.IsNotFound(err) {
			r.published.forget(req.NamespacedName)
			r.written.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !c.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	if r.written.pending(&c, r.Now()) {
		return status.Soon(), nil
	}
	world := compile.NewReader(ctx, r.Client, r.Namespace)
	world.Parsed = &r.parsed
	server, _, problems := compile.OAuthClient(world, &c)
	cred, failed := r.credential(ctx, world, &c, server, problems)
	if err := world.Err(); err != nil {
		return ctrl.Result{}, err
	}
	if status.Raced(failed) {
		return status.Retry(failed)
	}
	missing, err := r.missingServiceAccounts(ctx, &c)
	if err != nil {
		return ctrl.Result{}, err
	}
	desired := c.DeepCopy()
	desired.Status = desiredStatus(&c, server, cred, problems, missing, r.Now())
	if err := r.patch(ctx, &c, desired, failed == nil && cred.settled()); err != nil {
		return status.Retry(err)
	}
	status.Tell(r.Events, &c, c.Status.Conditions, desired.Status.Conditions)
	if failed != nil {
		return ctrl.Result{}, failed
	}
	return ctrl.Result{RequeueAfter: cred.wait(r.Now())}, nil
}

// patch writes the status. When the client is settled, there is nothing to look for when that comes back.
func (r *Reconciler) patch(ctx context.Context, c, desired *v1alpha1.OAuthClient, settled bool) error {
	write := func() error { return status.Patch(ctx, r.Client, c, desired) }
	if settled {
		return r.written.write(client.ObjectKeyFromObject(c), kindClient, desired, r.Now(), write)
	}
	err := write()
	if err == nil && desired.ResourceVersion != c.ResourceVersion {
		r.written.status(desired, r.Now())
	}
	return err
}

// settled says whether nothing is to be done after status has been written.
func (cred *credential) settled() bool { return cred.again.IsZero() && !cred.publishing }

// wait is how long to wait until the next step; zero when an event will tell.
func (cred *credential) wait(now time.Time) time.Duration {
	if cred.again.IsZero() {
		return 0
	}
	return max(cred.again.Sub(now), time.Millisecond)
}

// desiredStatus is the whole status of a client. Nothing of what stands there now is believed but transition times: tenants
// can write it. When secrets were used is left as it is: that is the servers' to write, and to correct. Ready does not wait for
// ServiceAccounts: they come with the application, which may well be applied after its client.
func desiredStatus(c *v1alpha1.OAuthClient, server string, cred credential, problems, missing []compile.Problem, now time.Time) v1alpha1.OAuthClientStatus {
	secretReady := status.Positive{Type: v1alpha1.ConditionSecretReady, Reason: v1alpha1.ReasonSecretReady, Message: cred.message}
	if clientSecret(c) == nil {
		secretReady.Reason, secretReady.Message = v1alpha1.ReasonSecretNotNeeded, withoutSecret(c)
	}
	positive := []status.Positive{
		{Type: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonAccepted},
		{Type: v1alpha1.ConditionResolvedRefs, Reason: v1alpha1.ReasonResolvedRefs, Notes: missing},
		secretReady,
	}
	if c.Spec.Disabled {
		positive = append(positive, status.Disabled("spec.disabled is true: the client is refused everything"))
	}
	if len(missing) > 0 {
		positive = append(positive, status.Positive{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonReady,
			Message: "in force, but for ServiceAccounts that it names, of which ResolvedRefs tells"})
	}
	if cred.problem != nil {
		problems = append(problems[:len(problems):len(problems)], *cred.problem)
	}
	return v1alpha1.OAuthClientStatus{
		ObservedGeneration:      c.Generation,
		ClientID:                compile.ClientID(c),
		AuthorizationServerName: server,
		Secrets:                 cred.secrets,
		SecretUsage:             c.Status.SecretUsage,
		LastHandledRotation:     cred.handled,
		Relaxations:             compile.Relaxations(c),
		Conditions:              status.Conditions(c.Status.Conditions, c.Generation, now, positive, problems),
	}
}

// withoutSecret says how a client proves who it is that has no client secret.
func withoutSecret(c *v1alpha1.OAuthClient) string {
	if a := c.Spec.Authentication; a != nil && a.ServiceAccount != nil {
		return fmt.Sprintf("the client has no client secret: its credential is a token, with the issuer as audience, of one of the ServiceAccounts %v in this namespace", a.ServiceAccount.Names)
	}
	return "the client has no client secret"
}

// clientSecret is what the spec says of a client secret; nil for a client without one.
func clientSecret(c *v1alpha1.OAuthClient) *v1alpha1.ClientSecret {
	if c.Spec.Authentication == nil {
		return nil
	}
	return c.Spec.Authentication.ClientSecret
}
