package browser_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

const document = `<!doctype html><title>Sign in</title><style>p {}</style>
<p>Welcome, <b>friend</b>.</p><img src="/cat.png"><img src="dog.png">
<dl id="facts"><div><dt>a</dt><dd>1</dd></div><dt>b</dt><dd>2 <i>3</i></dd><dt>a</dt><dd>4</dd></dl>
<form method="post" action="step"><input type="hidden" name="seal" value="s1"><input name="username"><input name="password" type="password">
<input type="checkbox" name="a" value="1" checked><input type="checkbox" name="b" value="1">
<button id="sign-in" name="action" value="yes">Sign in</button><button id="cancel" name="action" value="no">No</button></form>`

func newSite(t *testing.T) (*browser.Browser, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /app/", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1", Path: "/"})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, document)
	})
	mux.HandleFunc("POST /app/step", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("seen"); err != nil {
			t.Errorf("no cookie: %v", err)
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		http.Redirect(w, r, "/done?"+r.PostForm.Encode(), http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	b, err := browser.New(server.Client().Transport)
	if err != nil {
		t.Fatal(err)
	}
	return b, server.URL
}

func TestAPageIsRead(t *testing.T) {
	b, address := newSite(t)
	page, err := b.Get(t.Context(), address+"/app/")
	if err != nil {
		t.Fatal(err)
	}
	if page.Title() != "Sign in" || page.ID("sign-in").Text() != "Sign in" || page.ID("none") != nil {
		t.Errorf("title %q, button %q", page.Title(), page.ID("sign-in").Text())
	}
	if got := page.ID("facts").Definitions(); !maps.EqualFunc(got, map[string][]string{"a": {"1", "4"}, "b": {"2 3"}}, slices.Equal) {
		t.Errorf("definitions %v", got)
	}
	images, err := page.Images()
	if err != nil || len(images) != 2 || images[0].Path != "/cat.png" || images[1].Path != "/app/dog.png" {
		t.Errorf("images %v, %v", images, err)
	}
}

func TestAFormIsSentAsByAClick(t *testing.T) {
	b, address := newSite(t)
	page, err := b.Get(t.Context(), address+"/app/")
	if err != nil {
		t.Fatal(err)
	}
	form, err := page.Form("sign-in")
	if err != nil {
		t.Fatal(err)
	}
	next, err := b.Submit(t.Context(), form, "sign-in", map[string]string{"username": "alice", "password": "p&q"})
	if err != nil {
		t.Fatal(err)
	}
	if next.Next == nil || next.Next.Path != "/done" {
		t.Fatalf("no redirect: %+v", next)
	}
	if got := next.Next.Query().Encode(); got != "a=1&action=yes&password=p%26q&seal=s1&username=alice" {
		t.Errorf("sent %s", got)
	}
}

func TestAFormRefusesWhatItDoesNotHave(t *testing.T) {
	b, address := newSite(t)
	page, err := b.Get(t.Context(), address+"/app/")
	if err != nil {
		t.Fatal(err)
	}
	form, err := page.Form("sign-in")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Submit(t.Context(), form, "sign-in", map[string]string{"email": "x"}); err == nil {
		t.Error("a field that is not there was filled in")
	}
	if _, err := b.Submit(t.Context(), form, "other", nil); err == nil {
		t.Error("a button that is not there was pressed")
	}
	if _, err := page.Form("nowhere"); err == nil {
		t.Error("a form without its button was found")
	}
}
