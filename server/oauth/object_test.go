package oauth

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
)

// as is what an Object of these members is as a struct.
type as struct {
	One  string   `json:"one,omitempty"`
	Many []string `json:"many,omitempty"`
	Yes  bool     `json:"yes"`
	In   struct {
		Number int64  `json:"number"`
		Deep   string `json:"deep,omitempty"`
	} `json:"in"`
	Any any `json:"any"`
}

func (a *as) object() ([]byte, error) {
	o := NewObject()
	o.String("one", a.One)
	o.Strings("many", a.Many)
	o.Bool("yes", a.Yes)
	o.Open("in")
	o.Number("number", a.In.Number)
	o.String("deep", a.In.Deep)
	o.Close()
	o.Any("any", a.Any)
	return o.JSON()
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{"", "plain", `"`, `\`, "<", ">", "&", "\x1f", "\x7f", "<a href='&'>", "\x00\x1f\x7f\u0080", "é日本\U0001f600", "\xff\xc0", "\u2028\u2029", "a\tb\r\n"} {
		f.Add(s, "x", s, int64(math.MinInt64), true)
		f.Add("x", s, "", int64(0), false)
	}
	f.Fuzz(func(t *testing.T, one, two, deep string, number int64, yes bool) {
		v := &as{One: one, Many: []string{one, two}, Yes: yes, Any: map[string]string{one: two}}
		v.In.Number, v.In.Deep = number, deep
		if two == "" {
			v.Many = nil
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.object(); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v; encoding/json writes %s", got, err, want)
		}
	})
}

func TestObjectWithoutMembers(t *testing.T) {
	if got, err := NewObject().JSON(); err != nil || string(got) != "{}" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestObjectOfWhatHasNoJSON(t *testing.T) {
	o := NewObject()
	o.Any("no", math.Inf(1))
	if _, err := o.JSON(); err == nil {
		t.Error("infinity has JSON")
	}
}

// keeping is a connection that fails, and sends what it was given later.
type keeping struct {
	http.ResponseWriter
	late []byte
}

func (k *keeping) Write(body []byte) (int, error) {
	k.late = body
	return 0, errors.New("the stream was reset")
}

func TestMemoryOfAnAnswerThatFailsIsNotAnothers(t *testing.T) {
	for range 100 { // what was freed need not be the next
		w := &keeping{ResponseWriter: httptest.NewRecorder()}
		mine := NewObject()
		mine.String("token", "mine")
		if err := WriteObject(w, http.StatusOK, mine); err == nil {
			t.Fatal("the failure is not told")
		}
		another := NewObject()
		another.String("token", "another's")
		if got := string(w.late); got != `{"token":"mine"}` {
			t.Fatalf("what is sent has become %s", got)
		}
		another.Free()
	}
}
