package browser

import (
	"iter"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Element is an element of a page.
type Element struct{ node *html.Node }

// Text is what a reader sees of the element, on one line.
func (e *Element) Text() string {
	if e == nil || e.node == nil {
		return ""
	}
	var words []string
	for n := range descendants(e.node) {
		if n.Type == html.TextNode && (n.Parent == nil || !slices.Contains([]string{"style", "script"}, n.Parent.Data)) {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(words, " ")
}

// Attribute is the value of an attribute, or empty.
func (e *Element) Attribute(name string) string { return attribute(e.node, name) }

// Definitions are the terms (dt) within the element and what follows each (dd), in their order.
func (e *Element) Definitions() map[string][]string {
	definitions := map[string][]string{}
	if e == nil {
		return definitions
	}
	var term string
	for n := range descendants(e.node) {
		switch n.Data {
		case "dt":
			term = (&Element{node: n}).Text()
		case "dd":
			definitions[term] = append(definitions[term], (&Element{node: n}).Text())
		}
	}
	return definitions
}

func (p *Page) first(match func(*html.Node) bool) *Element {
	for n := range p.all(match) {
		return &Element{node: n}
	}
	return nil
}

// all yields the matching elements of the page.
func (p *Page) all(match func(*html.Node) bool) iter.Seq[*html.Node] {
	return func(yield func(*html.Node) bool) {
		for n := range descendants(p.document) {
			if n.Type == html.ElementNode && match(n) && !yield(n) {
				return
			}
		}
	}
}

// descendants yields a node's descendants, of which a missing node has none.
func descendants(n *html.Node) iter.Seq[*html.Node] {
	if n == nil {
		return func(func(*html.Node) bool) {}
	}
	return n.Descendants()
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
