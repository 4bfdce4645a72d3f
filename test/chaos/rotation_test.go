package chaos

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// shortLived lets keys rotate as often as they may: more often than once in a 24th of what they signed lives, they don't.
const shortLived = `, lifetimes: {session: 10m}`

// rotateKeys has keys change as soon as they may.
const rotateKeys = `{"spec":{"signing":{"rotation":{"interval":"60s","publishAhead":"10s"}}}}`

// before is what was begun before a rotation, and is to be ended after it.
type before struct {
	// signingIn is at a page whose form holds a sealed request.
	signingIn *flow
	page      *browser.Page
	// approved has a code, signedIn a session, used has tokens.
	approved, signedIn, used *flow
}

// flows are those that have tokens in the end.
func (b *before) flows() []*flow { return []*flow{b.approved, b.signedIn, b.used} }

// begin begins everything that can outlast a rotation.
func (s *site) begin(ctx context.Context) *before {
	s.t.Helper()
	fresh, err := browser.New(s.transport())
	must(s.t, err)
	b := &before{signingIn: s.newFlow(), approved: s.newFlow(), signedIn: s.newFlow(), used: s.newFlow()}
	b.signingIn.user = fresh
	first, err := fresh.Get(ctx, b.signingIn.url())
	must(s.t, err)
	b.page = s.onward(fresh, first)
	must(s.t, b.approved.authorize(ctx))
	must(s.t, b.used.begin(ctx))
	return b
}

// finish ends what was begun. A code lives for a minute: it is redeemed first.
func (s *site) finish(ctx context.Context, b *before) {
	s.t.Helper()
	must(s.t, b.approved.redeem(ctx))
	page := s.press(b.signingIn.user, b.page, "sign-in", map[string]string{"username": s.userName(0), "password": password})
	if b.signingIn.code = codeOf(page); b.signingIn.code == "" {
		s.report.lost("a sign-in that had begun ends with HTTP %d %s", page.Status, page.Text())
	} else {
		must(s.t, b.signingIn.redeem(ctx))
	}
	must(s.t, b.signedIn.begin(ctx)) // by the session
	for _, f := range b.flows() {
		for range refreshesEach {
			must(s.t, f.refresh(ctx))
		}
	}
	for _, server := range s.servers {
		for i, token := range b.used.accesses {
			if good, err := s.review(ctx, server.review, token); err != nil || !good {
				s.report.lost("access token %d from before a rotation, at %s: %t, %v", i, server.name, good, err)
			}
		}
	}
}

// Signing and sealing keys change under load, and no request fails: neither those of flows that begin and end meanwhile, nor of what was
// signed or sealed before and is presented after.
func TestKeysRotateUnderLoad(t *testing.T) {
	rotations := 1 + *flows/longFlows
	r := newReport(t, "%d rotations of signing and sealing keys under %d concurrent flows", rotations, *flows/4)
	s := newSiteOf(t, r, layout{servers: 2, controllers: 1, spec: shortLived})
	l := s.startLoad(t.Context(), *flows/4)
	stop := s.keepReviewing(t.Context())
	l.progress(*flows)
	var flows []*flow
	for i := range rotations {
		if i > 0 {
			s.keysAre(v1alpha1.KeyPublished)
		}
		b, known := s.begin(t.Context()), s.issuerKeys(t.Context())
		if i == 0 {
			must(t, api.Patch(t.Context(), s.authorizationServer(), client.RawPatch(types.MergePatchType, []byte(rotateKeys))))
		}
		s.rotated(known)
		s.finish(t.Context(), b)
		flows = append(flows, b.flows()...)
		r.tried("new keys sign and seal after %d answers to codes and refresh tokens", l.done.Load())
		l.progress(100)
	}
	flows = append(flows, l.end()...)
	r.tried("reviewed a token %d times meanwhile", stop())
	if n := r.failures(); n > 0 {
		r.broken("%d requests failed", n)
	}
	s.settle(t.Context(), flows)
}

func (s *site) authorizationServer() *v1alpha1.AuthorizationServer {
	as := &v1alpha1.AuthorizationServer{}
	as.Name = s.name
	return as
}

// issuerKeys are the keys in status.
func (s *site) issuerKeys(ctx context.Context) []v1alpha1.KeyStatus {
	s.t.Helper()
	as := s.authorizationServer()
	must(s.t, api.Get(ctx, client.ObjectKeyFromObject(as), as))
	return as.Status.Keys
}

// keysAre waits until a key of the issuer is in the state.
func (s *site) keysAre(state v1alpha1.KeyState) {
	s.t.Helper()
	eventually(s.t, "a key is "+string(state), func(ctx context.Context) (bool, error) {
		return slices.ContainsFunc(s.issuerKeys(ctx), func(k v1alpha1.KeyStatus) bool { return k.State == state }), nil
	})
}

// rotated waits until every server signs with a key that was not in use before.
func (s *site) rotated(known []v1alpha1.KeyStatus) {
	s.t.Helper()
	eventually(s.t, "a new key signs", func(ctx context.Context) (bool, error) {
		f := s.newFlow()
		if err := f.begin(ctx); err != nil {
			return false, err
		}
		kid, err := signer(f.accesses[0])
		return !slices.ContainsFunc(known, func(k v1alpha1.KeyStatus) bool { return k.KID == kid && k.State == v1alpha1.KeyActive }), err
	})
}

// signer is the id of the key that a token is signed with.
func signer(token string) (string, error) {
	header, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return "", err
	}
	var h struct {
		KID string `json:"kid"`
	}
	return h.KID, json.Unmarshal(text, &h)
}
