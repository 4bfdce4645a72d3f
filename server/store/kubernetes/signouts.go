package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// SignOuts implements store.SignOuts with OAuthSignOut objects. It is read from memory alone: while the watch is broken, what it told
// still counts, for no session is over by itself.
type SignOuts struct {
	*objects[store.SignOut, *v1alpha1.OAuthSignOut]
}

var _ store.SignOuts = (*SignOuts)(nil)

// NewSignOuts makes a SignOuts. Start must run for it to know anything.
func NewSignOuts(c Config) (*SignOuts, error) {
	objects, err := newObjects(c, kind[store.SignOut, *v1alpha1.OAuthSignOut]{
		noun:     "sign-out",
		resource: "oauthsignouts",
		empty:    func() *v1alpha1.OAuthSignOut { return &v1alpha1.OAuthSignOut{} },
		list:     func() client.ObjectList { return &v1alpha1.OAuthSignOutList{} },
		encode:   newSignOutObject,
		decode:   newSignOutEntry,
		same:     func(stored, o *store.SignOut) bool { return !stored.At.Before(o.At) },
		lasting:  func(*store.SignOut, time.Time) bool { return true },
	}, nil)
	return &SignOuts{objects}, err
}

// Record implements store.SignOuts. It costs one request to the API server, or two for a user who signs out everywhere again.
func (s *SignOuts) Record(ctx context.Context, o *store.SignOut) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := signOutName(o)
	if err := s.create(ctx, name, o); !errors.Is(err, store.ErrExists) {
		return err
	}
	_, err := s.update(ctx, name, func(stored *store.SignOut) (any, error) {
		if !stored.At.Before(o.At) {
			return nil, nil
		}
		at, until := metav1.NewMicroTime(o.At), metav1.NewTime(later(o.ExpiresAt, stored.ExpiresAt))
		return v1alpha1.OAuthSignOutStatus{SignedOutAt: &at, ExpiresAt: &until}, nil
	})
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// errNotRead is returned until all sign-outs have been read once.
var errNotRead = errors.New("store/kubernetes: the sign-outs have not been read yet")

// Over implements store.SignOuts.
func (s *SignOuts) Over(authorizationServer, sessionID string) (bool, error) {
	if !s.Synced() {
		return false, errNotRead
	}
	return s.index.get(nameOf(authorizationServer, "session", sessionID)) != nil, nil
}

// SignedOutAt implements store.SignOuts.
func (s *SignOuts) SignedOutAt(authorizationServer, userUID string) (time.Time, error) {
	if !s.Synced() {
		return time.Time{}, errNotRead
	}
	if e := s.index.get(nameOf(authorizationServer, "user", userUID)); e != nil {
		return e.value.At, nil
	}
	return time.Time{}, nil
}

func signOutName(o *store.SignOut) string {
	if o.Everywhere() {
		return nameOf(o.AuthorizationServer, "user", o.UserUID)
	}
	return nameOf(o.AuthorizationServer, "session", o.SessionID)
}

// nameOf is the name of the object for a user or a session of an issuer. Neither can be guessed from it, nor made to be another's.
func nameOf(authorizationServer, what, id string) string {
	sum := sha256.Sum256([]byte(authorizationServer + "\x00" + what + "\x00" + id))
	return hex.EncodeToString(sum[:16])
}

func newSignOutObject(namespace string, o *store.SignOut) *v1alpha1.OAuthSignOut {
	return &v1alpha1.OAuthSignOut{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: signOutName(o)},
		Spec: v1alpha1.OAuthSignOutSpec{
			AuthorizationServerName: o.AuthorizationServer,
			User:                    v1alpha1.GrantUser{Name: o.User, UID: o.UserUID},
			SessionID:               o.SessionID,
			SignedOutAt:             metav1.NewMicroTime(o.At),
			ExpiresAt:               metav1.NewTime(o.ExpiresAt),
		},
	}
}

func newSignOutEntry(o *v1alpha1.OAuthSignOut) *entry[store.SignOut] {
	return &entry[store.SignOut]{
		value: &store.SignOut{
			AuthorizationServer: o.Spec.AuthorizationServerName,
			User:                o.Spec.User.Name,
			UserUID:             o.Spec.User.UID,
			SessionID:           o.Spec.SessionID,
			At:                  o.SignedOutAt().Time,
			ExpiresAt:           o.Expiry().Time,
		},
		name: o.Name, uid: o.UID, version: o.ResourceVersion,
	}
}
