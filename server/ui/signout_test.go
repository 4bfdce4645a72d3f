package ui

import (
	"net/http/httptest"
	"testing"
)

func TestSignOutForm(t *testing.T) {
	v := SignOutPage{Action: "https://login.example.com/logout?confirm=abc", UserName: "alice", UserDisplayName: "Alice Liddell", ClientName: "Print shop", ClientID: "demo.print-shop"}
	v.IssuerName = "Example"
	w := httptest.NewRecorder()
	if err := pages(t).SignOut(w, v); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	for _, decision := range []string{"sign-out", "sign-out-everywhere", "stay"} {
		n := byID(t, doc, decision)
		if n.Data != "button" || attr(n, "name") != "decision" || attr(n, "value") != decision || attr(n, "type") != "submit" {
			t.Errorf("button %s: %v", decision, n.Attr)
		}
		if f := form(t, n); attr(f, "action") != v.Action || attr(f, "method") != "post" {
			t.Errorf("the form of %s posts to %q by %q", decision, attr(f, "action"), attr(f, "method"))
		}
	}
	for id, want := range map[string]string{"user": "Alice Liddell alice", "client-name": "Print shop"} {
		if got := textOf(byID(t, doc, id)); got != want {
			t.Errorf("%s: %q; want %q", id, got, want)
		}
	}
}

// A client that gave itself no name is called by its client_id.
func TestSignOutOfNamelessClient(t *testing.T) {
	w := httptest.NewRecorder()
	if err := pages(t).SignOut(w, SignOutPage{ClientName: "\u202e", ClientID: "demo.print-shop", UserName: "alice", UserDisplayName: "alice"}); err != nil {
		t.Fatal(err)
	}
	doc := parsed(t, w)
	if got := textOf(byID(t, doc, "client-name")); got != "demo.print-shop" {
		t.Errorf("client %q", got)
	}
	if got := textOf(byID(t, doc, "user")); got != "alice" {
		t.Errorf("user %q", got)
	}
}

func TestSignedOut(t *testing.T) {
	for stayed, id := range map[bool]string{false: "signed-out", true: "signed-in"} {
		w := httptest.NewRecorder()
		if err := pages(t).SignedOut(w, SignedOutPage{Stayed: stayed}); err != nil {
			t.Fatal(err)
		}
		if textOf(byID(t, parsed(t, w), id)) == "" {
			t.Errorf("no words in %s", id)
		}
	}
}
