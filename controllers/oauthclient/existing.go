package oauthclient

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
	"github.com/latchkey-io/latchkey/server/keys"
)

// What a client secret that a team brings must be.
const (
	minSecretLength = 16
	maxSecretLength = 256
)

// existing reads a Secret that the team brings.
func (r *Reconciler) existing(ctx context.Context, _ *v1alpha1.AuthorizationServer, c *v1alpha1.OAuthClient, set *keys.Set) (credential, error) {
	spec := clientSecret(c)
	secret, err := r.read(ctx, c.Namespace, spec.SecretName)
	if err != nil {
		return credential{}, err
	}
	key := entryName(spec, entryClientSecret)
	if secret == nil {
		return refused(v1alpha1.ReasonSecretNotFound, false,
			"Secret %s does not exist in this namespace yet; create it with the client secret under the key %s", spec.SecretName, key), nil
	}
	raw, ok := secret.Data[key]
	if !ok {
		return refused(v1alpha1.ReasonSecretInvalid, true,
			"Secret %s has no key %s; add it, or say in spec.authentication.clientSecret.keys which key holds the client secret", spec.SecretName, key), nil
	}
	if !usable(string(raw)) {
		return refused(v1alpha1.ReasonSecretInvalid, true,
			"key %s of Secret %s must hold %d to %d printable ASCII characters and no line break", key, spec.SecretName, minSecretLength, maxSecretLength), nil
	}
	found := secretValue{value: string(raw), id: secretID(set, c, string(raw))}
	found.createdAt = firstSeen(c, found.id, r.Now())
	return r.followed(c, set, found), nil
}

// followed is what comes of the client secret that the team brings: those that were there before remain valid for the overlap.
func (r *Reconciler) followed(c *v1alpha1.OAuthClient, set *keys.Set, found secretValue) credential {
	spec := clientSecret(c)
	out := credential{secrets: predecessors(c, set, found.id, r.Now())}
	var expiries []time.Time
	for i := range out.secrets {
		expiries = append(expiries, out.secrets[i].ExpiresAt.Time)
	}
	out.again = earliest(expiries)
	if slices.Contains(spec.Revoked, v1alpha1.ClientSecretID(found.id)) {
		out.problem = problem(v1alpha1.ReasonSecretRevoked, true,
			"the client secret in Secret %s is %s, which spec.authentication.clientSecret.revoked names; put another one there", spec.SecretName, found.id)
		return out
	}
	out.secrets = slices.Insert(out.secrets, 0, found.status(set, c))
	if c.Annotations[v1alpha1.AnnotationRotate] != "" {
		out.message = "annotation " + v1alpha1.AnnotationRotate + " is for source: Generated; put another client secret into Secret " + spec.SecretName
	}
	return out
}

// predecessors are the entries of status for client secrets that the Secret held before. The values are not known any more, but
// their digests are, from which those with an expiry follow. Of an entry that a tenant wrote there comes none that counts.
func predecessors(c *v1alpha1.OAuthClient, set *keys.Set, current string, now time.Time) []v1alpha1.ClientSecretStatus {
	spec := clientSecret(c)
	_, overlap := compile.SecretRotation(spec)
	if overlap == 0 {
		return nil
	}
	latest := now.Add(overlap + time.Second - 1).UTC().Truncate(time.Second)
	var out []v1alpha1.ClientSecretStatus
	for _, s := range c.Status.Secrets {
		if s.ID == current || slices.Contains(spec.Revoked, v1alpha1.ClientSecretID(s.ID)) || len(out) == maxPrevious {
			continue
		}
		if s.ExpiresAt == nil {
			raw, err := base64.RawURLEncoding.DecodeString(s.Digest)
			if err != nil || len(raw) != sha256.Size {
				continue
			}
			digest := set.ExpiringDigest([sha256.Size]byte(raw), latest)
			s.Digest, s.ExpiresAt = base64.RawURLEncoding.EncodeToString(digest[:]), &metav1.Time{Time: latest}
		}
		if now.Before(s.ExpiresAt.Time) && !s.ExpiresAt.After(latest) {
			out = append(out, s)
		}
	}
	return out
}

// refused is a credential that is none, and why.
func refused(reason string, terminal bool, format string, args ...any) credential {
	return credential{problem: problem(reason, terminal, format, args...)}
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
