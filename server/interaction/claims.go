package interaction

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/token"
)

const (
	// maxJSONDepth bounds JSON that anybody may have written: claims parameter, member, claim and values are four.
	maxJSONDepth = 8
	// maxClaims bounds how many claims are asked for by name, in each of the two places where they can be told.
	maxClaims = 64
)

// claimsRequest is the claims parameter (OpenID Connect Core section 5.5).
type claimsRequest struct {
	// userinfo and idToken are the names of claims asked for there, sorted.
	userinfo, idToken []string
	// subject is the `sub` that the user must have, empty for any.
	subject string
	// acr is what is asked of the sign-in.
	acr claimWish
}

// claimWish is what is said of one claim (section 5.5.1). The zero claimWish is a voluntary claim of any value.
type claimWish struct {
	essential bool
	// values are those that are acceptable, as JSON; none for any.
	values []json.RawMessage
}

// parseClaims reads the claims parameter. It is strict where it could be read in two ways: a name that stands there twice, a
// member of another type than it has. Members and claims that nobody knows are ignored (section 5.5).
func parseClaims(raw string) (*claimsRequest, error) {
	top, err := parseObject([]byte(raw))
	if err != nil {
		return nil, err
	}
	c := &claimsRequest{}
	if c.userinfo, _, err = parseMember(top["userinfo"]); err != nil {
		return nil, fmt.Errorf("userinfo: %w", err)
	}
	var wishes map[string]claimWish
	if c.idToken, wishes, err = parseMember(top["id_token"]); err != nil {
		return nil, fmt.Errorf("id_token: %w", err)
	}
	c.acr = wishes["acr"]
	if sub := wishes["sub"].values; len(sub) == 1 {
		if err := json.Unmarshal(sub[0], &c.subject); err != nil || c.subject == "" {
			return nil, errors.New("id_token: sub: not a subject")
		}
	}
	return c, nil
}

// parseMember reads what is asked for in one place.
func parseMember(raw json.RawMessage) ([]string, map[string]claimWish, error) {
	if isNull(raw) {
		return nil, nil, nil
	}
	member, err := object(raw)
	if err != nil {
		return nil, nil, err
	}
	if len(member) > maxClaims {
		return nil, nil, fmt.Errorf("more than %d claims", maxClaims)
	}
	wishes := make(map[string]claimWish, len(member))
	for name, raw := range member {
		if wishes[name], err = parseWish(raw); err != nil {
			return nil, nil, fmt.Errorf("a claim: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(wishes)), wishes, nil
}

func parseWish(raw json.RawMessage) (claimWish, error) {
	w := claimWish{}
	if isNull(raw) {
		return w, nil
	}
	members, err := object(raw)
	if err != nil {
		return w, err
	}
	if essential, ok := members["essential"]; ok {
		if err := json.Unmarshal(essential, &w.essential); err != nil || isNull(essential) {
			return w, errors.New("essential is not a boolean")
		}
	}
	if values, ok := members["values"]; ok {
		if err := json.Unmarshal(values, &w.values); err != nil || len(w.values) == 0 {
			return w, errors.New("values is not an array with something in it")
		}
	}
	if value, ok := members["value"]; ok {
		w.values = append(w.values, value)
	}
	return w, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// accepts says whether the value is acceptable.
func (w claimWish) accepts(value string) bool {
	return len(w.values) == 0 || slices.ContainsFunc(w.values, func(raw json.RawMessage) bool {
		var s string
		return json.Unmarshal(raw, &s) == nil && s == value
	})
}

// parseObject reads a JSON object that anybody may have written, after a look at its depth and for names that stand twice.
func parseObject(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, errors.New("not JSON")
	}
	if err := checkJSON(json.NewDecoder(bytes.NewReader(raw)), maxJSONDepth); err != nil {
		return nil, err
	}
	return object(raw)
}

// object reads names exactly: decoding into a struct would take `USERINFO` for `userinfo`.
func object(raw []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errors.New("not an object")
	}
	return members, nil
}

// checkJSON looks at the next value, which is well-formed, and all that is in it.
func checkJSON(dec *json.Decoder, depth int) error {
	if depth == 0 {
		return fmt.Errorf("deeper than %d levels", maxJSONDepth)
	}
	opening, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := opening.(json.Delim)
	if !nested {
		return nil
	}
	names := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			if names[fmt.Sprint(name)] {
				return errors.New("a name stands there twice")
			}
			names[fmt.Sprint(name)] = true
		}
		if err := checkJSON(dec, depth-1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing one
	return err
}

// checkClaims reads the claims parameter. Each claim belongs to an identity scope, and counts when the client declares that
// scope. Without openid there is neither an ID token nor userinfo, and nothing to ask for.
func (r *Request) checkClaims() *oauth.Error {
	raw := r.params.Get("claims")
	if raw == "" || !r.Ask.OpenID() {
		return nil
	}
	claims, err := parseClaims(raw)
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "claims is not well-formed (OpenID Connect Core section 5.5)").Wrap(err)
	}
	if claims.acr.essential && !claims.acr.accepts(token.ACRPassword) {
		return oauth.Errorf(oauth.UnmetAuthenticationRequirements, "there is no way to sign in with an essential acr value")
	}
	ask := *r.Ask
	ask.IDTokenClaims = token.AllowedClaims(r.Client, claims.idToken)
	ask.UserinfoClaims = slices.DeleteFunc(token.AllowedClaims(r.Client, claims.userinfo), func(name string) bool {
		scope, _ := token.ClaimScope(name)
		return slices.Contains(ask.Identity, scope) // which brings it anyway
	})
	r.Ask = &ask
	return r.mean(claims.subject)
}
