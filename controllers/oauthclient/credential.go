package oauthclient

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/controllers/status"
	"github.com/latchkey-io/latchkey/server/keys"
)

// The entries of a client's Secret, before spec.authentication.clientSecret.keys renames them.
const (
	entryClientID     = "client-id"
	entryClientSecret = "client-secret"
	entryIssuer       = "issuer"
)

// credential is what a client's Secret comes to: what its status says of it, or what is wrong.
type credential struct {
	secrets []v1alpha1.ClientSecretStatus
	// handled is the last request for a rotation that was met, message what SecretReady says besides that all is well.
	handled, message string
	// again is when to look again; zero when an event will tell.
	again time.Time
	// publishing says that the next step is due some time after status has been seen as it is to be.
	publishing bool
	problem    *compile.Problem
}

// secretValue is a client secret. It goes no further than the Secret and the digest.
type secretValue struct {
	value, id string
	// recordedID is the id that the Secret has for it. It differs where the client was moved to another issuer.
	recordedID string
	createdAt  time.Time
	// expiresAt is zero for a client secret that does not expire.
	expiresAt time.Time
}

// credential sees to the client's Secret. Where it can't tell, because the issuer is not there or the API server does not answer,
// the secrets that are in status stay: what was good a moment ago is not refused for that. The server believes none that
// it can't verify.
func (r *Reconciler) credential(ctx context.Context, w compile.World, c *v1alpha1.OAuthClient, server string, problems []compile.Problem) (credential, error) {
	undecided := credential{secrets: c.Status.Secrets, handled: c.Status.LastHandledRotation}
	spec := clientSecret(c)
	if spec == nil {
		return credential{}, r.removeFormer(ctx, c, "")
	}
	if slices.ContainsFunc(problems, func(p compile.Problem) bool { return p.Condition == v1alpha1.ConditionAccepted }) {
		return undecided, nil
	}
	set, p := compile.Keys(w, server)
	if p != nil {
		p.Condition, undecided.problem = v1alpha1.ConditionSecretReady, p
		return undecided, nil
	}
	obtain := r.generated
	if spec.Source == v1alpha1.SecretExisting {
		obtain = r.existing
	}
	found, err := obtain(ctx, w.AuthorizationServer(server), c, set)
	if err == nil && found.problem == nil {
		err = r.removeFormer(ctx, c, spec.SecretName)
	}
	if apierrors.IsInvalid(err) { // and will be until the spec changes
		undecided.problem = problem(v1alpha1.ReasonSecretInvalid, true,
			"the API server does not take Secret %s: %v; correct spec.authentication.clientSecret", spec.SecretName, err)
		return undecided, nil
	}
	if err != nil {
		failure := status.Failure(v1alpha1.ConditionSecretReady, err)
		undecided.problem = &failure
		return undecided, err
	}
	return found, nil
}

// status is the entry for a secret: its digest under a key that only Latchkey has, bound to this client.
func (s secretValue) status(set *keys.Set, c *v1alpha1.OAuthClient) v1alpha1.ClientSecretStatus {
	digest := set.ClientDigest(string(c.UID), s.id, s.expiresAt, s.value)
	out := v1alpha1.ClientSecretStatus{ID: s.id, Digest: base64.RawURLEncoding.EncodeToString(digest[:]), CreatedAt: metav1.NewTime(s.createdAt)}
	if !s.expiresAt.IsZero() {
		out.ExpiresAt = &metav1.Time{Time: s.expiresAt}
	}
	return out
}

// secretID names a client secret. It follows from the secret, so that another secret has another id and status can be made again
// from the Secret alone; and it is keyed, so that it tells nothing of the secret. The client is meant by its name: when a backup is
// restored, its secrets have the ids that they had.
func secretID(set *keys.Set, c *v1alpha1.OAuthClient, value string) string {
	sum := set.ClientDigest(compile.ClientID(c), "id", time.Time{}, value)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// isNew says whether the client is looked at for the first time. It is -1 by default.
func isNew(c *v1alpha1.OAuthClient) bool { return c.Status.ObservedGeneration < 1 }

// own is read for a Secret that is the client's own, if it is there. The first time that a client is looked at there is none, as a rule, and
// the cache knows that; if it doesn't know better yet, creating one fails, and the client is looked at again.
func (r *Reconciler) own(ctx context.Context, c *v1alpha1.OAuthClient, name string) (*corev1.Secret, error) {
	if isNew(c) {
		known := &metav1.PartialObjectMetadata{}
		known.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		err := r.Metadata.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, known)
		if apierrors.IsNotFound(err) {
			return nil, nil // absent is no error
		}
		if err != nil {
			return nil, fmt.Errorf("look for Secret %s: %w", name, err)
		}
	}
	return r.read(ctx, c.Namespace, name)
}

// read reads a Secret past all caches; nil when it does not exist.
func (r *Reconciler) read(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil // absent is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return &secret, nil
}

// entryName is the key under which the Secret has an entry.
func entryName(spec *v1alpha1.ClientSecret, entry string) string {
	if renamed, ok := spec.Keys[entry]; ok && renamed != "" {
		return string(renamed)
	}
	return entry
}

func problem(reason string, terminal bool, format string, args ...any) *compile.Problem {
	return &compile.Problem{Condition: v1alpha1.ConditionSecretReady, Reason: reason, Message: fmt.Sprintf(format, args...), Terminal: terminal}
}
