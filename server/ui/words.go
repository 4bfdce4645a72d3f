package ui

import "github.com/latchkey-io/latchkey/server/oauth"

// OfflineWords say what offline_access means (OpenID Connect Core section 11).
const OfflineWords = "Keep access while you are away"

// IdentityScope says what an identity scope discloses.
func IdentityScope(name string) ScopeLine {
	description := map[string]string{
		oauth.ScopeOpenID:        "Know that it is you, by an identifier of your account",
		oauth.ScopeProfile:       "See your name, username and profile",
		oauth.ScopeEmail:         "See your email address",
		oauth.ScopeAddress:       "See your postal address",
		oauth.ScopePhone:         "See your phone number",
		oauth.ScopeGroups:        "See the groups that you belong to",
		oauth.ScopeOfflineAccess: OfflineWords,
	}[name]
	return ScopeLine{Name: name, Description: description}
}

// Claim says what a claim about the user discloses that is asked for by its name (OpenID Connect Core section 5.5). Claims
// that say the same to a person have the same words.
func Claim(name string) ScopeLine {
	description := map[string]string{
		"name":                  "See your full name",
		"given_name":            "See your given name",
		"family_name":           "See your family name",
		"middle_name":           "See your middle name",
		"nickname":              "See your nickname",
		"preferred_username":    "See your username",
		"profile":               "See the address of your profile page",
		"picture":               "See your picture",
		"website":               "See the address of your website",
		"gender":                "See your gender",
		"birthdate":             "See your date of birth",
		"zoneinfo":              "See your time zone",
		"locale":                "See your language",
		"updated_at":            "See when your profile changed last",
		"email":                 "See your email address",
		"email_verified":        "See whether your email address is verified",
		"phone_number":          "See your phone number",
		"phone_number_verified": "See whether your phone number is verified",
		"address":               "See your postal address",
		"groups":                "See the groups that you belong to",
	}[name]
	return ScopeLine{Name: name, Description: description}
}
