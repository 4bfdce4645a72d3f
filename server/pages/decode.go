package pages

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// Skip has whatever is read into a T stepped over, and the T left as it is.
func Skip[T any]() *json.Unmarshalers {
	return json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *T) error { return d.SkipValue() })
}

// decode reads a list whose members come in any order.
func decode(body io.Reader, item Item, skip ...*json.Unmarshalers) (*internalversion.List, error) {
	// Like Kubernetes' own decoder this one does not look for names that come twice: who wrote this is the API server.
	d := jsontext.NewDecoder(body, jsontext.AllowDuplicateNames(true), json.WithUnmarshalers(json.JoinUnmarshalers(skip...)))
	list := &internalversion.List{}
	if err := expect(d, jsontext.KindBeginObject); err != nil {
		return nil, err
	}
	for d.PeekKind() != jsontext.KindEndObject {
		if err := member(d, list, item); err != nil {
			return nil, incomplete(err)
		}
	}
	if list.ResourceVersion == "" || list.Items == nil {
		return nil, errIncomplete
	}
	return list, expect(d, jsontext.KindEndObject)
}

// member reads one member of the list itself.
func member(d *jsontext.Decoder, list *internalversion.List, item Item) error {
	name, err := d.ReadToken()
	if err != nil {
		return err
	}
	switch name.String() {
	case "metadata":
		return json.UnmarshalDecode(d, &list.ListMeta)
	case "items":
		return items(d, list, item)
	}
	return d.SkipValue()
}

func items(d *jsontext.Decoder, list *internalversion.List, item Item) error {
	list.Items = []runtime.Object{}
	if d.PeekKind() == jsontext.KindNull {
		return d.SkipValue()
	}
	if err := expect(d, jsontext.KindBeginArray); err != nil {
		return err
	}
	read := func(into any) error { return json.UnmarshalDecode(d, into) }
	for d.PeekKind() != jsontext.KindEndArray {
		kept, err := item(read)
		if err != nil {
			return err
		}
		list.Items = append(list.Items, kept)
	}
	return expect(d, jsontext.KindEndArray)
}

// expect reads a brace or a bracket.
func expect(d *jsontext.Decoder, want jsontext.Kind) error {
	got, err := d.ReadToken()
	if err != nil {
		return incomplete(err)
	}
	if got.Kind() != want {
		return fmt.Errorf("pages: the API server's list has %s instead of %s", got.Kind(), want)
	}
	return nil
}

// incomplete makes an end in the middle of a list an error that says so.
func incomplete(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncomplete
	}
	return err
}
