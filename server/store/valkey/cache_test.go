package valkey

import (
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/store"
)

func believing(size int) *cache {
	c := newCache(size)
	c.believe(time.Now().Add(time.Hour))
	return c
}

func remember(c *cache, id string) {
	c.fill(c.begin(id), &entry{grant: &store.Grant{ID: id}})
}

// What was read before the server told of a change must not stay, however late it is put away.
func TestWhatIsToldWhileAGrantIsReadWins(t *testing.T) {
	for name, told := range map[string]func(*cache){
		"of the grant":         func(c *cache) { c.forget("a") },
		"of all":               func(c *cache) { c.clear() },
		"and read once more":   func(c *cache) { c.forget("a"); c.begin("a") },
		"and others push it":   func(c *cache) { remember(c, "b"); remember(c, "c") },
		"twice, and read then": func(c *cache) { c.forget("a"); c.begin("a"); c.clear() },
	} {
		t.Run(name, func(t *testing.T) {
			c := believing(2)
			place := c.begin("a")
			told(c)
			c.fill(place, &entry{grant: &store.Grant{ID: "a"}})
			if c.get("a") != nil {
				t.Error("what was read before is believed")
			}
		})
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := believing(10)
	for i := range 1000 {
		remember(c, fmt.Sprint(i))
		c.begin(fmt.Sprint("being read ", i))
	}
	if n := c.places.Len(); n != 10 {
		t.Errorf("%d places, want 10", n)
	}
	s, err := New(Config{Addresses: []string{"nowhere:1"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 70_000 {
		s.cache.begin(fmt.Sprint(i))
	}
	if n := s.cache.places.Len(); n != 65_536 {
		t.Errorf("%d places of a server", n)
	}
}

func TestWhatIsRememberedCountsForAsLongAsItIsBelieved(t *testing.T) {
	c := newCache(10)
	remember(c, "a")
	if c.get("a") != nil {
		t.Error("it is believed before the server was heard from")
	}
	c.believe(time.Now().Add(time.Hour))
	if c.get("a") == nil {
		t.Error("it is not believed")
	}
	c.believe(time.Now().Add(-time.Nanosecond))
	if c.get("a") != nil {
		t.Error("it is believed although the server was silent")
	}
	if !c.knows("a") {
		t.Error("an id that was used is not known any more")
	}
}
