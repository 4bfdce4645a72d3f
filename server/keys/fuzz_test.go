package keys

import "testing"

// Nothing opens but what was sealed, for the purpose that it was sealed for.
func FuzzOpen(f *testing.F) {
	s := firstSet(f)
	good := seal(f, s, "plaintext")
	for _, sealed := range []string{good, good[:len(good)-1], good + "A", good + "=", "", "AQ", "Af8", "AAAA"} {
		f.Add(sealed)
	}
	f.Fuzz(func(t *testing.T, sealed string) {
		got, err := s.Open(sealIssuer, sealPurpose, sealed)
		if (err == nil) != (sealed == good) || (err == nil && string(got) != "plaintext") {
			t.Fatalf("%q opens as %q, %v", sealed, got, err)
		}
		if _, err := s.Open(sealIssuer, "another", sealed); err == nil {
			t.Fatalf("%q opens for another purpose", sealed)
		}
	})
}
