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

// What a client secret that a team brings must be.
const (
	minSecretLength = 16
	maxSecretLength = 256
)

// credential is what a client's Secret comes to: the secrets for its status, or what is wrong.
type credential struct {
	secrets []v1alpha1.ClientSecretStatus
	problem *compile.Problem
}

// secretValue is a client secret. It goes no further than the digest.
type secretValue struct {
	value, id string
	createdAt time.Time
}

// credential sees to the client's Secret. Where it can't tell, because the issuer is not there or the API server does not answer,
// the secrets that are in status stay: what was good a moment ago is not refused for that. The server believes none that
// it can't verify.
func (r *Reconciler) credential(ctx context.Context, w compile.World, c *v1alpha1.OAuthClient, server string, problems []compile.Problem) (credential, error) {
	undecided := credential{secrets: c.Status.Secrets}
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
	found, p, err := obtain(ctx, w.AuthorizationServer(server), c, set)
	if err == nil && p == nil {
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
	if p != nil {
		return credential{problem: p}, nil
	}
	return credential{secrets: []v1alpha1.ClientSecretStatus{found.status(set, c)}}, nil
}

// status is the entry for a secret: its digest under a key that only Latchkey has, bound to this client.
func (s secretValue) status(set *keys.Set, c *v1alpha1.OAuthClient) v1alpha1.ClientSecretStatus {
	digest := set.ClientDigest(string(c.UID), s.id, time.Time{}, s.value)
	return v1alpha1.ClientSecretStatus{ID: s.id, Digest: base64.RawURLEncoding.EncodeToString(digest[:]), CreatedAt: metav1.NewTime(s.createdAt)}
}

// secretID names a client secret. It follows from the secret, so that another secret has another id and status can be made again
// from the Secret alone; and it is keyed, so that it tells nothing of the secret.
func secretID(set *keys.Set, c *v1alpha1.OAuthClient, value string) string {
	sum := set.ClientDigest(string(c.UID), "id", time.Time{}, value)
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// existing reads a Secret that the team brings.
func (r *Reconciler) existing(ctx context.Context, _ *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (*secretValue, *compile.Problem, error) {
	spec := clientSecret(c)
	secret, err := r.read(ctx, c.Namespace, spec.SecretName)
	if err != nil {
		return nil, nil, err
	}
	key := entryName(spec, entryClientSecret)
	if secret == nil {
		return nil, problem(v1alpha1.ReasonSecretNotFound, false,
			"Secret %s does not exist in this namespace yet; create it with the client secret under the key %s", spec.SecretName, key), nil
	}
	raw, ok := secret.Data[key]
	if !ok {
		return nil, problem(v1alpha1.ReasonSecretInvalid, true,
			"Secret %s has no key %s; add it, or say in spec.authentication.clientSecret.keys which key holds the client secret", spec.SecretName, key), nil
	}
	if !usable(string(raw)) {
		return nil, problem(v1alpha1.ReasonSecretInvalid, true,
			"key %s of Secret %s must hold %d to %d printable ASCII characters and no line break", key, spec.SecretName, minSecretLength, maxSecretLength), nil
	}
	found := &secretValue{value: string(raw), id: secretID(set, c, string(raw))}
	found.createdAt = firstSeen(c, found.id, r.Now())
	return found, nil, nil
}

// firstSeen is when the secret with the id was first in status.
func firstSeen(c *v1alpha1.OAuthClient, id string, now time.Time) time.Time {
	for _, s := range c.Status.Secrets {
		if s.ID == id && !s.CreatedAt.After(now) {
			return s.CreatedAt.Time
		}
	}
	return now.UTC().Truncate(time.Second)
}

// usable says whether a client secret is long enough to be one and can be sent in a request (RFC 6749 appendix A.2).
func usable(value string) bool {
	return len(value) >= minSecretLength && len(value) <= maxSecretLength &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r > 0x7e })
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
