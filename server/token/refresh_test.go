package token

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry/registrytest"
)

func TestRefreshToken(t *testing.T) {
	f := newFixture(t)
	seen := map[string]bool{}
	for _, generation := range []int64{1, 2, 10, 1 << 40, 1<<63 - 1} {
		for _, id := range []string{f.grant.ID, NewID()} {
			raw := Refresh(f.iss, id, generation)
			gotID, got, ok := ParseRefresh(f.iss, raw)
			if !ok || gotID != id || got != generation || len(raw) > maxRefreshLength || seen[raw] {
				t.Errorf("%s: %s, %d, %v", raw, gotID, got, ok)
			}
			seen[raw] = true
		}
	}
	first := Refresh(f.iss, f.grant.ID, 1)
	if again := Refresh(f.iss, f.grant.ID, 1); again != first {
		t.Error("it can't be given again")
	}
}

// Security: somebody who knows a grant id but no secret; forged, truncated and differently encoded ones.
func TestForgedRefreshToken(t *testing.T) {
	f := newFixture(t)
	good := Refresh(f.iss, f.grant.ID, 7)
	parts := strings.Split(good, ".")
	secret := f.iss.Keys.RefreshSecret(f.grant.ID, 7)
	other := *f.iss
	other.Keys = registrytest.Keys(t, f.now)
	last := good[len(good)-1]
	for name, raw := range map[string]string{
		"empty":                     "",
		"the grant id":              f.grant.ID,
		"no secret":                 f.grant.ID + ".7.",
		"two parts":                 parts[0] + "." + parts[1],
		"four parts":                good + ".",
		"another generation":        parts[0] + ".8." + parts[2],
		"no generation":             parts[0] + ".." + parts[2],
		"generation 0":              Refresh(f.iss, f.grant.ID, 0),
		"a negative generation":     Refresh(f.iss, f.grant.ID, -1),
		"generation with a sign":    parts[0] + ".+7." + parts[2],
		"generation with a zero":    parts[0] + ".07." + parts[2],
		"generation in hexadecimal": parts[0] + ".0x7." + parts[2],
		"generation beyond bounds":  parts[0] + ".99999999999999999999." + parts[2],
		"another grant":             NewID() + ".7." + parts[2],
		"the id in upper case":      strings.ToUpper(parts[0]) + ".7." + parts[2],
		"a path":                    "../" + good,
		"truncated":                 good[:len(good)-1],
		"padded":                    good + "=",
		"in standard base64":        parts[0] + ".7." + base64.StdEncoding.EncodeToString(secret),
		"other trailing bits":       good[:len(good)-1] + otherTrailingBits(last),
		"a line break":              good[:40] + "\n" + good[40:],
		"a blank":                   " " + good,
		"of zeros":                  parts[0] + ".7." + strings.Repeat("A", 43),
		"another issuer's":          Refresh(&other, f.grant.ID, 7),
		"longer than any":           good + strings.Repeat("A", 1<<20),
		"an access token":           f.sign(t, f.access()),
	} {
		if id, generation, ok := ParseRefresh(f.iss, raw); ok || id != "" || generation != 0 {
			t.Errorf("%s: %s, %d, %v", name, id, generation, ok)
		}
	}
	if _, _, ok := ParseRefresh(f.iss, good); !ok {
		t.Error("the good one is not taken")
	}
}

func FuzzParseRefresh(fuzz *testing.F) {
	f := newFixture(fuzz)
	for _, seed := range []string{Refresh(f.iss, f.grant.ID, 1), "", "..", "a.1.b", f.grant.ID + ".1.", f.grant.ID + ".-1." + strings.Repeat("A", 43)} {
		fuzz.Add(seed)
	}
	fuzz.Fuzz(func(t *testing.T, raw string) {
		id, generation, ok := ParseRefresh(f.iss, raw)
		if ok && (Refresh(f.iss, id, generation) != raw || !strings.Contains(raw, "."+strconv.FormatInt(generation, 10)+".")) {
			t.Errorf("%q was taken for %s, %d", raw, id, generation)
		}
		if ok && oauth.PrintableASCII(raw) != raw {
			t.Errorf("%q", raw)
		}
	})
}
