package interop

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/hack/dev/browser"
)

// person is dora with a browser of her own.
type person struct {
	browser *browser.Browser
	typed   map[string]string // what she fills in where it is asked for
}

func dora(t *testing.T) *person {
	t.Helper()
	b, err := browser.New(direct.Transport)
	if err != nil {
		t.Fatal(err)
	}
	return &person{b, map[string]string{"username": "dora", "password": "wonderland"}}
}

// visit goes from an address through whatever pages come, and decides what they ask, until she arrives at an application or
// at a page that asks nothing.
func (p *person) visit(ctx context.Context, address, decision string) (a arrival, err error) {
	var asked []string
	page, err := p.browser.Get(ctx, address)
	for range 20 {
		switch {
		case err != nil:
			return arrival{}, err
		case page.Next != nil && strings.HasPrefix(page.Next.String(), portal):
			return arrival{URL: page.Next.String(), Method: "GET", Asked: asked}, nil
		case page.Next != nil:
			page, err = p.browser.Get(ctx, page.Next.String())
			continue
		case strings.HasPrefix(page.URL.String(), apps.URL):
			err = json.Unmarshal(page.Body, &a)
			a.Asked = asked
			return a, err
		}
		button := pressable(page, decision)
		if button == "" {
			return arrival{URL: page.URL.String(), Method: "GET", Asked: asked}, nil
		}
		asked = append(asked, button)
		page, err = p.press(ctx, page, button)
	}
	return arrival{}, errors.New("the authorization server redirects in a circle")
}

// pressable is the id of the button that leads on.
func pressable(page *browser.Page, decision string) string {
	for _, id := range []string{"sign-in", "sign-out", decision, "continue"} {
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
	typed := maps.Clone(p.typed)
	maps.DeleteFunc(typed, func(name, _ string) bool { return !form.Has(name) })
	return p.browser.Submit(ctx, form, button, typed)
}

// allows is the way from an authorization request to the application.
func (p *person) allows(t *testing.T, address string) arrival {
	t.Helper()
	a, err := p.visit(t.Context(), address, "allow")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.URL, apps.URL) && !strings.HasPrefix(a.URL, portal) {
		t.Fatalf("ended at %s", a.URL)
	}
	return a
}
