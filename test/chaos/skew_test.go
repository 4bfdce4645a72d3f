package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// skew is by how much a clock is wrong: more than a code lives.
const skew = 90 * time.Second

// The clock of one server of two is wrong by more than a code lives: it is set while the server works, and is wrong when it starts. Nobody
// notices, whichever server issues, redeems, refreshes, reviews and ends what.
func TestServersClockIsWrong(t *testing.T) {
	for _, ahead := range []time.Duration{skew, -skew} {
		t.Run(ahead.String(), func(t *testing.T) {
			r := newReport(t, "the clock of one server of two is set %v ahead", ahead)
			s := newSite(t, r, 2)
			l := s.startLoad(t.Context(), *flows/4)
			l.progress(*flows)
			must(t, setClock(t.Context(), s.servers[0].present().PID(), ahead))
			s.servers[0].clock = ahead
			l.progress(4 * *flows) // every server issues and redeems
			flows := l.end()
			if n := r.failures(); n != 0 {
				r.broken("%d requests failed", n)
			}
			r.tried("%d codes and refresh tokens were answered", l.done.Load())
			must(t, s.servers[0].stop())
			must(t, s.servers[0].start())
			s.isReady(s.servers[0])
			s.isReallyOff(s.servers[0], ahead)
			s.settle(t.Context(), flows)
			for i := range s.servers {
				s.handOn(s.servers[i], s.servers[1-i])
				s.endEverything(i, s.servers[i], s.servers[1-i])
				s.cutOff(s.servers[i], s.servers[1-i])
			}
			r.tried("presented codes, tokens, sessions, sign-outs and cut-offs of either server to the other")
		})
	}
}

// isReallyOff makes sure that the server's machine has a wrong clock, and that the server knows it.
func (s *site) isReallyOff(server *replica, ahead time.Duration) {
	s.t.Helper()
	eventually(s.t, "the server tells of its clock", func(ctx context.Context) (bool, error) {
		offset, err := server.metric(ctx, "latchkey_clock_offset_seconds")
		off := time.Duration(offset*float64(time.Second)) + ahead
		return off.Abs() < 2*time.Second, err
	})
}

// towards is a transport to one server at a time, whatever the address.
type towards struct{ at atomic.Pointer[replica] }

// visitor is the site as one sees it who is sent to one server at a time, with a browser that nobody is signed in at.
func (s *site) visitor() (*site, *towards) {
	to := &towards{}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to.at.Load().public)
	}}
	seen := *s
	seen.client = &http.Client{Transport: counting{transport, s.report}}
	return &seen, to
}

// handOn has one server issue what the other is then asked about.
func (s *site) handOn(one, other *replica) {
	s.t.Helper()
	ctx := s.t.Context()
	v, to := s.visitor()
	to.at.Store(one)
	f := v.signIn(s.userName(0), v.client.Transport)
	to.at.Store(other)
	must(s.t, f.redeem(ctx))
	must(s.t, f.authorize(ctx)) // by the session that began at the one
	to.at.Store(one)
	must(s.t, f.redeem(ctx))
	first := f.newest()
	must(s.t, f.refresh(ctx))
	to.at.Store(other)
	again, _, err := v.insist(ctx, f.refreshing(first)) // as after a lost answer
	if err != nil || again.RefreshToken != f.newest() {
		s.report.lost("a token that was refreshed a moment ago at %s is answered by %s with HTTP %d %s, %v", one.name, other.name, again.status, again.Error, err)
	}
	must(s.t, f.refresh(ctx))
	for _, server := range s.servers {
		for i, token := range f.accesses {
			if good, err := s.review(ctx, server.review, token); err != nil || !good {
				s.report.lost("access token %d, at %s: %t, %v", i, server.name, good, err)
			}
		}
	}
}

// endEverything has a newcomer sign out everywhere at one server: what the other issued before is over, and what it issues after is good.
func (s *site) endEverything(newcomer int, one, other *replica) {
	s.t.Helper()
	ctx := s.t.Context()
	v, to := s.visitor()
	to.at.Store(other)
	user := s.userName(usersOf(*flows) + newcomer)
	f := v.signIn(user, v.client.Transport)
	must(s.t, f.redeem(ctx))
	f.isRemembered(one) // what it has heard of is over, by whatever clock it was made
	to.at.Store(one)
	page, err := f.user.Get(ctx, s.issuer+"/logout")
	must(s.t, err)
	v.press(f.user, page, "sign-out-everywhere", nil)
	s.isOver(f, "everybody was signed out at "+one.name)
	s.nextSecond() // a password takes longer to type than clocks that are put right differ
	to.at.Store(other)
	f = v.signIn(user, v.client.Transport)
	must(s.t, f.redeem(ctx))
	s.isGood(f, "signing in again at "+other.name)
}

// cutOff cuts off what the user was given until now: also what the one server issued, and nothing that the other issues from now on.
func (s *site) cutOff(one, other *replica) {
	s.t.Helper()
	ctx := s.t.Context()
	v, to := s.visitor()
	to.at.Store(one)
	f := v.signIn(s.userName(0), v.client.Transport)
	must(s.t, f.redeem(ctx))
	at := s.nextSecond()
	patch := fmt.Sprintf(`{"spec":{"revokeTokensIssuedBefore":%q}}`, at.UTC().Format(time.RFC3339))
	user := &v1alpha1.LocalUser{ObjectMeta: metav1.ObjectMeta{Name: s.userName(0)}}
	must(s.t, api.Patch(ctx, user, client.RawPatch(types.MergePatchType, []byte(patch))))
	s.isOver(f, "a cut-off")
	to.at.Store(other)
	f = v.signIn(s.userName(0), v.client.Transport)
	must(s.t, f.redeem(ctx))
	s.isGood(f, "a cut-off, signing in again at "+other.name)
}

// nextSecond waits until a second is over, and some of the clocks' inexactness with it, and returns the time.
func (s *site) nextSecond() time.Time {
	s.t.Helper()
	next := time.Now().Truncate(time.Second).Add(3 * time.Second)
	eventually(s.t, "time passes", func(context.Context) (bool, error) { return !time.Now().Before(next.Add(time.Second)), nil })
	return next
}

// isOver reports what is still good, a moment after, of a flow that was ended.
func (s *site) isOver(f *flow, after string) {
	s.t.Helper()
	for _, server := range s.servers {
		eventually(s.t, "after "+after+" "+server.name+" refuses what was issued before", func(ctx context.Context) (bool, error) {
			good, err := s.review(ctx, server.review, f.accesses[0])
			return !good, err
		})
	}
	if a, _, err := s.insist(s.t.Context(), f.refreshing(f.newest())); err != nil || a.Error != "invalid_grant" {
		s.report.twice("after %s, a refresh token from before is answered with HTTP %d %s, %v", after, a.status, a.Error, err)
	}
}

// isGood reports what is not good of a flow.
func (s *site) isGood(f *flow, after string) {
	s.t.Helper()
	for _, server := range s.servers {
		if good, err := s.review(s.t.Context(), server.review, f.accesses[0]); err != nil || !good {
			s.report.lost("after %s, its token at %s: %t, %v", after, server.name, good, err)
		}
	}
	must(s.t, f.refresh(s.t.Context()))
}

// A controller whose clock is ahead sweeps nothing that lives.
func TestControllersClockIsWrong(t *testing.T) {
	r := newReport(t, "the clock of the controller is %v ahead", skew)
	s := newSite(t, r, 1)
	alive, over := s.putGrant(time.Now().Add(15*time.Second)), s.putGrant(time.Now().Add(-2*time.Minute))
	must(t, s.controllers[0].kill())
	s.controllers[0].clock = skew
	must(t, s.controllers[0].start())
	eventually(t, "a sweep takes what is over", func(ctx context.Context) (bool, error) { return s.gone(ctx, over) })
	if gone, err := s.gone(t.Context(), alive); gone || err != nil {
		r.lost("a grant that lives was swept: %v", err)
	}
	s.isReallyOff(s.controllers[0], skew)
	r.tried("a sweep took what had expired, and left what had not")
}

// putGrant makes a grant that expires at a time, as a server does.
func (s *site) putGrant(expires time.Time) *v1alpha1.OAuthGrant {
	s.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", identity("latchkey-server"))
	must(s.t, err)
	server, err := client.New(config, client.Options{Scheme: api.Scheme()})
	must(s.t, err)
	before := metav1.NewMicroTime(expires.Add(-time.Hour))
	g := &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: strings.ToLower(rand.Text())}, Spec: v1alpha1.OAuthGrantSpec{
		AuthorizationServerName: s.name, ClientID: s.name + ".app", ClientUID: "1", User: v1alpha1.GrantUser{Name: s.name, UID: "2"},
		AuthTime: metav1.NewTime(before.Time), IssuedAt: before, ExpiresAt: metav1.NewTime(expires), Attempt: "a",
	}}
	must(s.t, server.Create(s.t.Context(), g))
	return g
}

func (s *site) gone(ctx context.Context, o client.Object) (bool, error) {
	err := api.Get(ctx, client.ObjectKeyFromObject(o), o)
	return err != nil && client.IgnoreNotFound(err) == nil, client.IgnoreNotFound(err)
}
