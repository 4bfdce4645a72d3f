package browser

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Form is a form of a page.
type Form struct {
	// Method is GET or POST.
	Method string
	// Action is where it is sent to.
	Action *url.URL

	page   *Page
	fields url.Values           // filled in by the page
	button map[string][2]string // by id: name and value, which are sent with a click
}

// ID returns the element with an id, or nil.
func (p *Page) ID(id string) *Element {
	return p.first(func(n *html.Node) bool { return attribute(n, "id") == id })
}

// Title is the text of the title element.
func (p *Page) Title() string {
	if title := p.first(func(n *html.Node) bool { return n.Data == "title" }); title != nil {
		return title.Text()
	}
	return ""
}

// Text is all that the page says.
func (p *Page) Text() string { return (&Element{node: p.document}).Text() }

// Resolve makes a reference of the page absolute.
func (p *Page) Resolve(reference string) (*url.URL, error) { return p.URL.Parse(reference) }

// Images are the addresses of all pictures on the page.
func (p *Page) Images() (addresses []*url.URL, err error) {
	for n := range p.all(func(n *html.Node) bool { return n.Data == "img" && attribute(n, "src") != "" }) {
		address, err := p.Resolve(attribute(n, "src"))
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// Form returns the form that holds the button with an id.
func (p *Page) Form(button string) (*Form, error) {
	element := p.ID(button)
	if element == nil {
		return nil, fmt.Errorf("%s has no element with the id %q", p.URL.Path, button)
	}
	node := element.node
	for node != nil && node.Data != "form" {
		node = node.Parent
	}
	if node == nil {
		return nil, fmt.Errorf("on %s, %q is in no form", p.URL.Path, button)
	}
	action, err := p.Resolve(attribute(node, "action"))
	if err != nil {
		return nil, err
	}
	form := &Form{
		Method: strings.ToUpper(attribute(node, "method")), Action: action, page: p,
		fields: url.Values{}, button: map[string][2]string{},
	}
	if form.Method == "" {
		form.Method = http.MethodGet
	}
	for n := range descendants(node) {
		form.add(n)
	}
	return form, nil
}

// add takes in one control.
func (f *Form) add(n *html.Node) {
	name, value, kind := attribute(n, "name"), attribute(n, "value"), attribute(n, "type")
	switch {
	case n.Data == "button" || n.Data == "input" && kind == "submit":
		f.button[attribute(n, "id")] = [2]string{name, value}
	case n.Data != "input" || name == "":
	case kind == "checkbox" || kind == "radio":
		if hasAttribute(n, "checked") {
			f.fields.Add(name, value)
		}
	default:
		f.fields.Add(name, value)
	}
}

// identify sets what tells a server which page a form was sent from. A page may forbid it, and its origin is then "null".
func (f *Form) identify(header http.Header) {
	from := f.page.URL
	if f.page.noReferrer {
		header.Set("Origin", "null")
	} else {
		header.Set("Origin", from.Scheme+"://"+from.Host)
		header.Set("Referer", from.String())
	}
	if from.Host == f.Action.Host {
		header.Set("Sec-Fetch-Site", "same-origin")
	} else {
		header.Set("Sec-Fetch-Site", "cross-site")
	}
}

// Has reports whether the form has a field of that name.
func (f *Form) Has(name string) bool { return f.fields.Has(name) }

func (f *Form) values(button string, fields map[string]string) (url.Values, error) {
	pressed, found := f.button[button]
	if !found {
		return nil, fmt.Errorf("the form has no button with the id %q", button)
	}
	values := url.Values{}
	for name, given := range f.fields {
		values[name] = slices.Clone(given)
	}
	for name, value := range fields {
		if !values.Has(name) {
			return nil, fmt.Errorf("the form has no field %q", name)
		}
		values.Set(name, value)
	}
	if pressed[0] != "" {
		values.Set(pressed[0], pressed[1])
	}
	return values, nil
}
