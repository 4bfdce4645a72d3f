package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wellFormed bounds what is parsed.
func wellFormed(raw string) bool {
	return len(raw) <= maxLength && !strings.ContainsAny(raw, "\r\n") // which encoding/base64 skips, even when strict
}

// decodeClaims reads the claims of a JWT in compact form, without any cryptography.
func decodeClaims(raw string, claims any) error {
	if !wellFormed(raw) || strings.Count(raw, ".") != 2 {
		return fmt.Errorf("longer than %d bytes, or not a compact serialization", maxLength)
	}
	_, rest, _ := strings.Cut(raw, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	return decodeSegment(encoded, claims)
}

// decodeSegment reads JSON in base64url. Names are what they are, in upper or lower case, and one that comes twice is an error (RFC 7515
// section 4, RFC 7519 section 4).
func decodeSegment(encoded string, v any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// date is a NumericDate in whole seconds (RFC 7519 section 2), 0 for none.
type date int64

func dateOf(t time.Time) date {
	if t.IsZero() {
		return 0
	}
	return date(t.Unix())
}

// time is the zero Time for none.
func (d date) time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Unix(int64(d), 0)
}

// UnmarshalJSONFrom drops the fraction of a second that others may write.
func (d *date) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	token, err := from.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != jsontext.KindNumber {
		return errors.New("a date is a number")
	}
	seconds, err := token.Float()
	*d = date(seconds)
	return err
}

// audience is an `aud`: several, or the only one (RFC 7519 section 4.1.3).
type audience []string

// UnmarshalJSONFrom reads either.
func (a *audience) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	if from.PeekKind() != jsontext.KindString {
		return json.UnmarshalDecode(from, (*[]string)(a))
	}
	one, err := from.ReadToken()
	*a = audience{one.String()}
	return err
}
