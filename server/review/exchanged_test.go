package review_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
	"github.com/latchkey-io/latchkey/server/token"
)

// Whom a token that was got by exchange speaks for is who granted it, or the client that had the first one; who acts is told beside.
func TestReviewOfATokenThatWasGotByExchange(t *testing.T) {
	f := newFixture(t)
	exchanged := func(change func(*token.Access)) string {
		a := f.access(registrytest.Photos)
		a.Scopes = []string{registrytest.PhotosRead}
		a.ClientID, a.ClientUID = registrytest.Nightly, registrytest.NightlyUID
		a.Via = []token.Shown{{Party: token.Party{ID: registrytest.PrintShop, UID: registrytest.PrintShopUID}}, {Party: token.Party{ID: registrytest.Native, UID: registrytest.NativeUID}}}
		change(a)
		return f.sign(t, a)
	}
	own := func(a *token.Access) { a.Subject, a.GrantID, a.UserUID = registrytest.PrintShop, "", "" }
	for username, change := range map[string]func(*token.Access){"oauth:alice": func(*token.Access) {}, "oauth:client:demo:print-shop": own} {
		got, code := f.ask(t, exchanged(change), registrytest.Photos)
		if code != http.StatusOK || !got.Authenticated || got.User.Username != username {
			t.Errorf("HTTP %d %+v, want %s", code, got, username)
		}
		if extra := got.User.Extra; !slices.Equal(extra[oauth.ExtraActor], []string{registrytest.Nightly, registrytest.Native}) ||
			!slices.Equal(extra[oauth.ExtraClientID], []string{registrytest.Nightly}) || !slices.Equal(extra[oauth.ExtraScope], []string{registrytest.PhotosRead}) {
			t.Errorf("extra %v", extra)
		}
	}
	for name, change := range map[string]func(*token.Access){
		"the actor as subject": func(a *token.Access) { own(a); a.Subject = registrytest.Nightly },
		"another's grant":      func(a *token.Access) { a.Via = a.Via[1:] },
		"nobody before it":     func(a *token.Access) { a.Via = nil },
	} {
		t.Run(name, func(t *testing.T) {
			got, code := f.ask(t, exchanged(change), registrytest.Photos)
			wantNo(t, got, code)
		})
	}
	// What the owner has withdrawn from the actor does not count, whatever the first client may ask for.
	nightly := registrytest.Client(t, f.iss, registrytest.Nightly)
	nightly.Access = nil
	f.publish(registrytest.WithClient(f.iss, nightly))
	got, code := f.ask(t, exchanged(func(*token.Access) {}), registrytest.Photos)
	wantNo(t, got, code)
	// A token that was not got by exchange has no actor.
	f.publish(f.iss)
	if got, _ := f.ask(t, f.sign(t, f.access(registrytest.Photos)), registrytest.Photos); !got.Authenticated || got.User.Extra[oauth.ExtraActor] != nil {
		t.Errorf("%+v", got)
	}
}

// Security: a workload is told from users, clients and the ServiceAccount itself, and is in no group.
func TestReviewOfATokenForAWorkload(t *testing.T) {
	f := newFixture(t)
	a := f.access(registrytest.Photos)
	a.Scopes = []string{registrytest.PhotosRead, registrytest.PhotosWrite}
	a.ClientID, a.ClientUID, a.GrantID, a.UserUID = registrytest.Nightly, registrytest.NightlyUID, "", ""
	a.Subject, a.WorkloadUID, a.WorkloadCalled = "system:serviceaccount:demo:backup", "uid-backup", registrytest.Orders
	got, code := f.ask(t, f.sign(t, a), registrytest.Photos)
	if user := got.User; code != http.StatusOK || !got.Authenticated || user.Username != "oauth:serviceaccount:demo:backup" || user.UID != "uid-backup" || len(user.Groups) > 0 {
		t.Errorf("HTTP %d %+v", code, got)
	}
	if extra := got.User.Extra; !slices.Equal(extra[oauth.ExtraActor], []string{registrytest.Nightly}) || !slices.Equal(extra[oauth.ExtraClientID], []string{registrytest.Nightly}) ||
		!slices.Equal(extra[oauth.ExtraScope], []string{registrytest.PhotosRead}) || extra[oauth.ExtraGrantID] != nil {
		t.Errorf("extra %v", extra)
	}
	a.WorkloadUID = ""
	got, code = f.ask(t, f.sign(t, a), registrytest.Photos)
	wantNo(t, got, code)
}
