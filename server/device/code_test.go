package device

import (
	"strings"
	"testing"
)

func TestUserCodes(t *testing.T) {
	seen := map[string]bool{}
	letters := map[rune]int{}
	const n = 5000
	for range n {
		code := newUserCode()
		if back, ok := plain(shown(code)); !ok || back != code || len(shown(code)) != 9 {
			t.Fatalf("%s is shown as %s, and read as %s", code, shown(code), back)
		}
		for _, c := range code {
			letters[c]++
		}
		seen[code] = true
	}
	if len(seen) < n-1 {
		t.Errorf("%d of %d codes differ", len(seen), n)
	}
	for _, c := range alphabet {
		if mean := n * length / len(alphabet); letters[c] < mean*8/10 || letters[c] > mean*12/10 {
			t.Errorf("%c comes %d times, and should about %d", c, letters[c], mean)
		}
	}
}

func TestTypedUserCodes(t *testing.T) {
	for _, tc := range []struct{ typed, want string }{
		{"BCDF-GHJK", "BCDFGHJK"},
		{"bcdfghjk", "BCDFGHJK"},
		{"  bcdf  ghjk ", "BCDFGHJK"},
		{"B.C.D.F/G_H-J-K", "BCDFGHJK"},
		{"bcdf\u2013ghjk", "BCDFGHJK"}, // a dash that a phone made of the hyphen
		{"bcdf\u00a0ghjk\n", "BCDFGHJK"},
		{"BCDF-GHJ", ""},
		{"BCDF-GHJKL", ""},
		{"ABCD-EFGH", ""}, // vowels
		{"BCDF-GH1K", ""},
		{"BCDF-GHJЌ", ""},
		{"", ""},
		{"---", ""},
		{strings.Repeat("B", 8000), ""},
	} {
		if got, ok := plain(tc.typed); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%q is read as %q, %v; want %q", tc.typed[:min(len(tc.typed), 20)], got, ok, tc.want)
		}
	}
}

// FuzzTypedUserCodes: whatever is typed is a code that can be shown and typed again, or none.
func FuzzTypedUserCodes(f *testing.F) {
	for _, seed := range []string{"BCDF-GHJK", "bcdf ghjk", "", "ABCDEFGH", "BCDF-GHJЌ", "ﬀﬀﬀﬀ", "ßßßßßßßß", "\xff\xfe", "BCDF‑GHJK"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := plain(typed)
		if !ok {
			return
		}
		if again, ok := plain(shown(code)); !ok || again != code || strings.Trim(code, alphabet) != "" || len(code) != length {
			t.Errorf("%q is read as %q, and that as %q", typed, code, again)
		}
	})
}
