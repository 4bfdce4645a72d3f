package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// person is alice with a browser of her own.
type person struct{ browser *browser.Browser }

func alice(t *testing.T) *person {
	t.Helper()
	b, err := browser.New(direct.Transport)
	if err != nil {
		t.Fatal(err)
	}
	return &person{b}
}

// visit goes from an address through whatever pages come, and decides them,
// until she arrives at an application or at a page that asks nothing.
func (p *person) visit(ctx context.Context, address, decision string) (arrival, error) {
	page, err := p.browser.Get(ctx, address)
	for range 20 {
		switch {
		case err != nil:
			return arrival{}, err
		case page.Next != nil:
			page, err = p.browser.Get(ctx, page.Next.String())
			continue
		case strings.HasPrefix(page.URL.String(), apps.URL):
			var a arrival
			return a, json.Unmarshal(page.Body, &a)
		}
		button := asked(page, decision)
		if button == "" {
			return arrival{URL: page.URL.String()}, nil
		}
		page, err = p.press(ctx, page, button)
	}
	return arrival{}, errors.New("the authorization server redirects in a circle")
}

// asked is the id of the button that leads on.
func asked(page *browser.Page, decision string) string {
	for _, id := range []string{"sign-in", decision} {
		if page.ID(id) != nil {
			return id
		}
	}
	return ""
}

func (p *person) press(ctx context.Context, page *browser.Page, button string) (*browser.Page, error) {
	form, err := page.Form(button)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for name, value := range map[string]string{"username": "alice", "password": "wonderland"} {
		if form.Has(name) {
			fields[name] = value
		}
	}
	return p.browser.Submit(ctx, form, button, fields)
}

// allows is the way from an authorization request to the application.
func (p *person) allows(t *testing.T, address string) arrival {
	t.Helper()
	a, err := p.visit(t.Context(), address, "allow")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.URL, apps.URL) {
		t.Fatal(fmt.Errorf("ended at %s", a.URL))
	}
	return a
}
