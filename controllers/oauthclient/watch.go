package oauthclient

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
)

// Indexes of OAuthClients, and of the metadata of Secrets (ownerField).
const (
	serverField         = "effectiveAuthorizationServer"
	secretField         = "spec.authentication.clientSecret.secretName"
	resourceField       = "spec.resources"
	ownerField          = "controller.uid"
	serviceAccountField = "spec.authentication.serviceAccount.names"
)

// concurrency is how many clients are looked at at once: the work is waiting for the API server.
const concurrency = 8

// SecretMetadata is the object by which the metadata of Secrets is watched and listed.
func SecretMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return o
}

// SetupWithManager registers the reconciler and its indexes. metadata is a cache of the metadata of the Secrets and ServiceAccounts of
// all namespaces; it becomes r.Metadata.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, metadata cache.Cache) error {
	r.Metadata = metadata
	if err := setupIndexes(ctx, mgr.GetFieldIndexer(), metadata); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.OAuthClient{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: notUsageAlone}, predicate.Funcs{UpdateFunc: r.notOwn}, status.NotFailingAgain())).
		WatchesRawSource(source.Kind(metadata, SecretMetadata(), handler.TypedEnqueueRequestsFromMapFunc(r.ofSecret))).
		WatchesRawSource(source.Kind(metadata, ServiceAccountMetadata(), handler.TypedEnqueueRequestsFromMapFunc(r.ofServiceAccount), comesOrGoes())).
		Watches(&v1alpha1.AuthorizationServer{}, handler.EnqueueRequestsFromMapFunc(r.atServer), builder.WithPredicates(status.AuthorizationServerChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.ofKeys), builder.WithPredicates(predicate.Funcs{UpdateFunc: digestKeyChanged})).
		Watches(&v1alpha1.ResourceServer{}, handler.EnqueueRequestsFromMapFunc(r.ofResource)).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.inNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, RateLimiter: status.Backoff()}).
		Complete(r)
}

// notUsageAlone says whether anything else has changed than when secrets were used. That is the servers' to say; to look at each of
// 100,000 clients once an hour for it, with its Secret read from the API server, would be for nothing.
func notUsageAlone(e event.UpdateEvent) bool {
	before, isClient := e.ObjectOld.(*v1alpha1.OAuthClient)
	after, ok := e.ObjectNew.(*v1alpha1.OAuthClient)
	if !ok || !isClient || equality.Semantic.DeepEqual(before.Status.SecretUsage, after.Status.SecretUsage) {
		return true
	}
	alike := *before
	alike.ResourceVersion, alike.ManagedFields, alike.Status.SecretUsage = after.ResourceVersion, after.ManagedFields, after.Status.SecretUsage
	return !equality.Semantic.DeepEqual(&alike, after)
}

// notOwn says whether an update is news.
func (r *Reconciler) notOwn(e event.UpdateEvent) bool {
	return !r.written.isOwn(client.ObjectKeyFromObject(e.ObjectNew), kindClient, e.ObjectNew.GetResourceVersion())
}

func setupIndexes(ctx context.Context, clients, secrets client.FieldIndexer) error {
	indexes := map[string]func(*v1alpha1.OAuthClient) []string{
		serverField: func(c *v1alpha1.OAuthClient) []string {
			return []string{compile.EffectiveAuthorizationServer(c.Spec.AuthorizationServerName)}
		},
		secretField:         secretName,
		resourceField:       resources,
		serviceAccountField: serviceAccounts,
	}
	for field, index := range indexes {
		err := clients.IndexField(ctx, &v1alpha1.OAuthClient{}, field, func(o client.Object) []string { return index(o.(*v1alpha1.OAuthClient)) })
		if err != nil {
			return err
		}
	}
	return secrets.IndexField(ctx, SecretMetadata(), ownerField, func(o client.Object) []string {
		if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "OAuthClient" {
			return []string{string(owner.UID)}
		}
		return nil
	})
}

func secretName(c *v1alpha1.OAuthClient) []string {
	if spec := clientSecret(c); spec != nil {
		return []string{spec.SecretName}
	}
	return nil
}

func resources(c *v1alpha1.OAuthClient) []string {
	var out []string
	for _, ref := range c.Spec.Resources {
		out = append(out, ref.Namespace+"/"+ref.Name)
	}
	return out
}

// ofSecret are the clients that name a Secret, and the one that it was made for, unless that is all that has happened.
func (r *Reconciler) ofSecret(ctx context.Context, secret *metav1.PartialObjectMetadata) []ctrl.Request {
	out := r.list(ctx, client.InNamespace(secret.Namespace), client.MatchingFields{secretField: secret.Name})
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.Kind != "OAuthClient" {
		return out
	}
	request := ctrl.Request{NamespacedName: types.NamespacedName{Namespace: secret.Namespace, Name: owner.Name}}
	if r.written.isOwn(request.NamespacedName, kindSecret, secret.ResourceVersion) {
		return slices.DeleteFunc(out, func(other ctrl.Request) bool { return other == request })
	}
	return append(out, request)
}

func (r *Reconciler) atServer(ctx context.Context, as client.Object) []ctrl.Request {
	return r.list(ctx, client.MatchingFields{serverField: as.GetName()})
}

// ofKeys are the clients of the issuer whose keys a Secret holds.
func (r *Reconciler) ofKeys(ctx context.Context, secret client.Object) []ctrl.Request {
	name, ok := strings.CutPrefix(secret.GetName(), compile.KeysSecretPrefix)
	if !ok {
		return nil
	}
	return r.list(ctx, client.MatchingFields{serverField: name})
}

// digestKeyChanged says whether a change to an issuer's keys changes digests. A rotation does not, and must not bring every
// client back.
func digestKeyChanged(e event.UpdateEvent) bool {
	return probe(e.ObjectOld) != probe(e.ObjectNew)
}

// probe is a digest of nothing under the digest key of a keys Secret; the empty string for any other Secret.
func probe(o client.Object) string {
	secret, ok := o.(*corev1.Secret)
	if !ok || !strings.HasPrefix(secret.Name, compile.KeysSecretPrefix) {
		return ""
	}
	set, err := compile.ParseKeys(secret)
	if err != nil {
		return err.Error()
	}
	digest := set.ClientDigest("", "", time.Time{}, "")
	return string(digest[:])
}

func (r *Reconciler) ofResource(ctx context.Context, rs client.Object) []ctrl.Request {
	return r.list(ctx, client.MatchingFields{resourceField: rs.GetNamespace() + "/" + rs.GetName()})
}

func (r *Reconciler) inNamespace(ctx context.Context, ns client.Object) []ctrl.Request {
	return r.list(ctx, client.InNamespace(ns.GetName()))
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []ctrl.Request {
	return status.Requests(ctx, r.Client, &v1alpha1.OAuthClientList{}, options...)
}
