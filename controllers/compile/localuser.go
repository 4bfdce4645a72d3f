package compile

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/registry"
)

// LocalProvider is the provider under which the subjects of LocalUsers are computed. Changing it would change every sub.
const LocalProvider = "local"

// EffectiveSubject is what a LocalUser's `sub` is computed from.
func EffectiveSubject(u *v1alpha1.LocalUser) string { return firstNonEmpty(u.Spec.Subject, u.Name) }

// LocalUser compiles a user for each AuthorizationServer at which the user can sign in. A disabled one is at none, which is no
// problem.
func LocalUser(w World, u *v1alpha1.LocalUser) (map[string]*registry.User, []Problem) {
	if u.Spec.Disabled {
		return nil, nil
	}
	for _, other := range w.LocalUsersWithSubject(EffectiveSubject(u)) {
		if other.UID != u.UID && older(other, u) {
			return nil, []Problem{refused(v1alpha1.ReasonInvalid, "LocalUser %s, which is older, has the same subject %q; two users must not be one to clients", other.Name, EffectiveSubject(u))}
		}
	}
	hash, problems := passwordHash(w, u)
	out := map[string]*registry.User{}
	for _, name := range EffectiveAuthorizationServers(u.Spec.AuthorizationServerNames) {
		user, p := userAt(w, u, name, hash)
		if p != nil {
			problems = append(problems, *p)
			continue
		}
		out[name] = user
	}
	return out, problems
}

func userAt(w World, u *v1alpha1.LocalUser, name, hash string) (*registry.User, *Problem) {
	if w.AuthorizationServer(name) == nil {
		return nil, &Problem{v1alpha1.ConditionReady, v1alpha1.ReasonAuthorizationServerNotFound,
			fmt.Sprintf("AuthorizationServer %s does not exist; create it, or name another", name), false}
	}
	set, p := Keys(w, name)
	if p != nil {
		return nil, p
	}
	return &registry.User{
		Name: u.Name, UID: string(u.UID),
		Subject:     set.Subject(LocalProvider, EffectiveSubject(u)),
		DisplayName: firstNonEmpty(u.Spec.DisplayName, u.Name), Email: u.Spec.Email, Groups: u.Spec.Groups,
		Profile:      profile(u),
		PasswordHash: hash, CredentialVersion: credentialVersion(hash),
		RevokedBefore: cutoff(u.Spec.RevokeTokensIssuedBefore),
	}, nil
}

// profile are the claims that the spec declares, and when it changed last.
func profile(u *v1alpha1.LocalUser) registry.Profile {
	out := registry.Profile{UpdatedAt: specChangedAt(u)}
	p := u.Spec.Profile
	if p == nil {
		return out
	}
	out.GivenName, out.FamilyName, out.MiddleName, out.Nickname = p.GivenName, p.FamilyName, p.MiddleName, p.Nickname
	out.ProfileURL, out.PictureURL, out.Website = string(p.ProfileURL), string(p.PictureURL), string(p.Website)
	out.Gender, out.Birthdate, out.Zoneinfo, out.Locale = p.Gender, p.Birthdate, p.Zoneinfo, p.Locale
	out.PhoneNumber = p.PhoneNumber
	if p.Address != nil {
		out.Address = registry.Address(*p.Address)
	}
	return out
}

// passwordHash reads the hash; a user without one exists and can't sign in.
func passwordHash(w World, u *v1alpha1.LocalUser) (string, []Problem) {
	if u.Spec.PasswordSecretRef == nil {
		return "", nil
	}
	name := u.Spec.PasswordSecretRef.Name
	secret := w.OperatorSecret(name)
	if secret == nil {
		return "", []Problem{{v1alpha1.ConditionReady, v1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("Secret %s does not exist in the operator's namespace; create it with the key %s, made by `latchkey hash-password`", name, PasswordHashKey), false}}
	}
	hash := strings.TrimSpace(string(secret.Data[PasswordHashKey]))
	known := []string{"$argon2id$", "$2a$", "$2b$", "$2y$"}
	if !slices.ContainsFunc(known, func(prefix string) bool { return strings.HasPrefix(hash, prefix) }) {
		return "", []Problem{{v1alpha1.ConditionReady, v1alpha1.ReasonSecretInvalid,
			fmt.Sprintf("Secret %s has no argon2id or bcrypt hash under the key %s; make one with `latchkey hash-password`", name, PasswordHashKey), true}}
	}
	return hash, nil
}

// credentialVersion changes with the password and tells nothing of it.
func credentialVersion(hash string) string {
	sum := sha256.Sum256([]byte("latchkey credential version\x00" + hash))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
