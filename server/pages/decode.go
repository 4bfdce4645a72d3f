package pages

import (
	gojson "encoding/json"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/json"
)

// decode reads a list whose members come in any order. The decoder is Kubernetes' own, to which names that differ in case are different.
func decode(body io.Reader, item Item) (*internalversion.List, error) {
	d, list := json.NewDecoderCaseSensitivePreserveInts(body), &internalversion.List{}
	if err := expect(d, gojson.Delim('{')); err != nil {
		return nil, err
	}
	for d.More() {
		if err := member(d, list, item); err != nil {
			return nil, incomplete(err)
		}
	}
	if err := expect(d, gojson.Delim('}')); err != nil {
		return nil, err
	}
	if list.ResourceVersion == "" || list.Items == nil {
		return nil, errIncomplete
	}
	return list, nil
}

// member reads one member of the list itself.
func member(d json.Decoder, list *internalversion.List, item Item) error {
	name, err := d.Token()
	if err != nil {
		return err
	}
	switch name {
	case "metadata":
		return d.Decode(&list.ListMeta)
	case "items":
		return items(d, list, item)
	}
	return d.Decode(&gojson.RawMessage{})
}

func items(d json.Decoder, list *internalversion.List, item Item) error {
	list.Items = []runtime.Object{}
	switch first, err := d.Token(); {
	case err != nil:
		return err
	case first == nil: // null
		return nil
	case first != gojson.Delim('['):
		return unexpected(first, gojson.Delim('['))
	}
	for d.More() {
		kept, err := item(d.Decode)
		if err != nil {
			return err
		}
		list.Items = append(list.Items, kept)
	}
	return expect(d, gojson.Delim(']'))
}

// expect reads a brace or a bracket.
func expect(d json.Decoder, want gojson.Delim) error {
	got, err := d.Token()
	if err != nil {
		return incomplete(err)
	}
	if got != want {
		return unexpected(got, want)
	}
	return nil
}

func unexpected(got gojson.Token, want gojson.Delim) error {
	return fmt.Errorf("pages: the API server's list has %v instead of %v", got, want)
}
