package valkey

import (
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

// filled is a grant every member of which is set, whichever there are.
func filled(t *testing.T) *store.Grant {
	t.Helper()
	g := &store.Grant{}
	for i, v := 0, reflect.ValueOf(g).Elem(); i < v.NumField(); i++ {
		switch f := v.Field(i); f.Interface().(type) {
		case string:
			f.SetString(v.Type().Field(i).Name)
		case int64:
			f.SetInt(int64(i + 1))
		case []string:
			f.Set(reflect.ValueOf([]string{v.Type().Field(i).Name}))
		case []store.Target:
			f.Set(reflect.ValueOf([]store.Target{{Resource: "https://orders.shop.svc", Scopes: []string{"orders.read"}}}))
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(1_900_000_000+int64(i), 0).UTC()))
		default:
			t.Fatalf("how to fill %s?", v.Type().Field(i).Name)
		}
	}
	return g
}

// A member that store.Grant is given, and the value of a key is not, would be lost.
func TestEveryMemberOfAGrantIsStored(t *testing.T) {
	g := filled(t)
	until := time.Unix(2_000_000_000, 0).UTC()
	raw, err := encode(g, until)
	if err != nil {
		t.Fatal(err)
	}
	e, err := decode(g.ID, raw)
	if err != nil || !reflect.DeepEqual(e.grant, g) || !e.indexedUntil.Equal(until) {
		t.Errorf("got  %+v, %v\nwant %+v", e.grant, err, g)
	}
}

// What another version wrote is not guessed at.
func TestAValueOfAnotherFormatIsAnError(t *testing.T) {
	for _, raw := range []string{"", "{}", `{"v":2}`, `{"v":1`, "null", `"x"`} {
		if e, err := decode("a", raw); err == nil {
			t.Errorf("%s is read as %+v", raw, e)
		}
	}
}
