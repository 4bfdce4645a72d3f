package oauth

import (
	"encoding/json"
	"strconv"
	"sync"
)

// Object writes a JSON object member by member: for the few shapes that are written with every request, of which encoding/json would find
// out anew each time what they are made of. Names are the program's own, and need no escapes.
type Object struct {
	text []byte
	err  error
}

// objects are those that have been freed.
var objects = sync.Pool{New: func() any { return &Object{text: make([]byte, 0, 1<<10)} }}

// maxFreed bounds what is kept of what was freed, in bytes.
const maxFreed = 8 << 10

// NewObject is an empty one.
func NewObject() *Object {
	o := objects.Get().(*Object)
	o.text, o.err = append(o.text[:0], '{'), nil
	return o
}

// JSON is the object, to which nothing can be added any more; an error when one of its members has no JSON. It is good until Free.
func (o *Object) JSON() ([]byte, error) {
	o.text = append(o.text, '}')
	return o.text, o.err
}

// Free ends the use of the object and of its JSON.
func (o *Object) Free() {
	if cap(o.text) <= maxFreed {
		objects.Put(o)
	}
}

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
