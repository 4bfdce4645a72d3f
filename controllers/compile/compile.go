// Package compile turns objects into registry values, or says what is wrong with them. Its functions are pure: all they
// read comes through a World, and the same function decides what status says and what requests get.
package compile

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/keys"
	"github.com/latchkey-io/latchkey/server/registry"
)

// Names of what is kept in the operator's namespace.
const (
	// KeysSecretPrefix precedes the AuthorizationServer's name in the name of the Secret that holds its keys.
	KeysSecretPrefix = "latchkey-keys-"
	// KeysSecretKey is the entry of that Secret that holds keys.Material.
	KeysSecretKey = "keys.json"
	// PasswordHashKey is the entry of a LocalUser's Secret that holds the hash of the password.
	PasswordHashKey = "password-hash"
)

// Problem is one thing that keeps an object from being honoured as written.
type Problem struct {
	// Condition is the positive condition that the problem makes False. Ready is False with every problem.
	Condition string
	// Reason is one of the v1alpha1.Reason constants.
	Reason string
	// Message says what is wrong and what to do.
	Message string
	// Terminal is true when waiting will not help: somebody has to change an object.
	Terminal bool
}

// Keys returns the issuer's keys, or the problem with them.
func Keys(w World, authorizationServer string) (*keys.Set, *Problem) {
	set, err := w.Keys(authorizationServer)
	switch {
	case err != nil:
		return nil, &Problem{v1alpha1.ConditionReady, v1alpha1.ReasonKeysNotReady,
			"Secret " + KeysSecretPrefix + authorizationServer + " can't be read: " + err.Error() + "; restore it from a backup, or delete it to have new keys made (every sign-in and every sub changes)", true}
	case set == nil:
		return nil, &Problem{v1alpha1.ConditionReady, v1alpha1.ReasonKeysNotReady,
			"the keys of AuthorizationServer " + authorizationServer + " have not been made yet", false}
	}
	return set, nil
}

// EffectiveAuthorizationServer is the name meant by spec.authorizationServerName.
func EffectiveAuthorizationServer(name string) string {
	if name == "" {
		return v1alpha1.DefaultAuthorizationServerName
	}
	return name
}

// EffectiveAuthorizationServers are the names meant by spec.authorizationServerNames.
func EffectiveAuthorizationServers(names []string) []string {
	if len(names) == 0 {
		return []string{v1alpha1.DefaultAuthorizationServerName}
	}
	return names
}

// selects says whether the selector matches the labels; an invalid selector matches nothing.
func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}

// badSelector is the problem with a selector that the API server does not look into; nil when it is valid. Such a selector
// selects nothing.
func badSelector(field string, selector *metav1.LabelSelector) *Problem {
	if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
		return &Problem{v1alpha1.ConditionReady, v1alpha1.ReasonInvalid, field + " selects no namespace: " + err.Error() + "; correct it", true}
	}
	return nil
}

// older says whether a was created before b; of two created in the same second the UID decides.
func older(a, b metav1.Object) bool {
	ta, tb := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if ta.Equal(&tb) {
		return a.GetUID() < b.GetUID()
	}
	return ta.Before(&tb)
}

// cutoff is a time that a spec may declare.
func cutoff(t *metav1.Time) registry.Cutoff {
	if t == nil {
		return registry.Cutoff{}
	}
	return registry.Cutoff(t.Time)
}

// durationOr parses a Duration, which CRD validation has already bounded; def when it is absent.
func durationOr(d *v1alpha1.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	parsed, err := time.ParseDuration(string(*d))
	if err != nil || parsed <= 0 {
		return def
	}
	return parsed
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func list(names []string) string { return "[" + strings.Join(names, ", ") + "]" }
