package oauth

import (
	"encoding/json"
	"strconv"
)

// Object writes a JSON object member by member: for the few shapes that are written with every request, of which encoding/json would find
// out anew each time what they are made of. Names are the program's own, and need no escapes.
type Object struct {
	text []byte
	err  error
}

// NewObject makes an empty one with room for so many bytes.
func NewObject(size int) *Object { return &Object{text: append(make([]byte, 0, size), '{')} }

// JSON is the object, to which nothing can be added any more; an error when one of its members has no JSON.
func (o *Object) JSON() ([]byte, error) { return append(o.text, '}'), o.err }

func (o *Object) name(name string) {
	if o.text[len(o.text)-1] != '{' {
		o.text = append(o.text, ',')
	}
	o.text = append(append(append(o.text, '"'), name...), `":`...)
}

// Open adds an object, whose members are all that is added until Close.
func (o *Object) Open(name string) {
	o.name(name)
	o.text = append(o.text, '{')
}

// Close ends what Open began.
func (o *Object) Close() { o.text = append(o.text, '}') }

// Bool adds a truth value.
func (o *Object) Bool(name string, value bool) {
	o.name(name)
	o.text = strconv.AppendBool(o.text, value)
}

// Number adds a whole number.
func (o *Object) Number(name string, value int64) {
	o.name(name)
	o.text = strconv.AppendInt(o.text, value, 10)
}

// String adds a string, unless it is empty.
func (o *Object) String(name, value string) {
	if value != "" {
		o.name(name)
		o.string(value)
	}
}

// Strings adds a list of strings, unless it is empty.
func (o *Object) Strings(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	o.text = append(o.text, '[')
	for i, v := range values {
		if i > 0 {
			o.text = append(o.text, ',')
		}
		o.string(v)
	}
	o.text = append(o.text, ']')
}

// Any adds what encoding/json makes of the value.
func (o *Object) Any(name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		o.err = err
		return
	}
	o.name(name)
	o.text = append(o.text, text...)
}

// string leaves all that is not plain to encoding/json.
func (o *Object) string(s string) {
	if plain(s) {
		o.text = append(append(append(o.text, '"'), s...), '"')
		return
	}
	text, err := json.Marshal(s)
	if err != nil {
		o.err = err
	}
	o.text = append(o.text, text...)
}

// plain says whether the string has none of the characters that encoding/json writes otherwise than as they are, and nothing beyond ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
