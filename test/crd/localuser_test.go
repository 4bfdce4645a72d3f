package crd

import (
	"strings"
	"testing"
)

func localUser() kind {
	return kind{kind: "LocalUser", resource: "localusers", good: `
authorizationServerNames: [default]
email: alice@example.com
displayName: Alice Liddell
groups: [buyers]
passwordSecretRef: {name: alice-password}
`}
}

func TestLocalUserRules(t *testing.T) {
	const address = "email must be an address such as alice@example.com"
	localUser().check(t, []rule{
		{name: "good"},
		{name: "empty spec", patch: `{authorizationServerNames: null, email: null, displayName: null, groups: null, passwordSecretRef: null}`},
		{name: "dotted name", objectName: "alice.liddell"},
		{name: "name with a colon", objectName: "system:admin", message: "Invalid value"},
		{name: "long name", objectName: strings.Repeat("a", 64), message: "the name of a LocalUser has at most 63 characters"},
		{name: "email without @", patch: `{email: alice}`, message: address},
		{name: "email with two @", patch: `{email: a@b@c}`, message: address},
		{name: "email with a space", patch: `{email: "a b@c"}`, message: address},
		{name: "password in a Secret that can't be", patch: `{passwordSecretRef: {name: Alice}}`, message: "the name of a Secret has lower-case letters, digits"},
		{name: "password without Secret", patch: `{passwordSecretRef: {name: ""}}`, message: "should be at least 1 chars long"},
		{name: "empty group", patch: `{groups: [""]}`, message: "should be at least 1 chars long"},
	})
}

func TestLocalUserProfileRules(t *testing.T) {
	const (
		address = "profileURL, pictureURL and website must be https URLs in ASCII, such as https://people.example/alice"
		date    = "birthdate must be a date such as 1998-07-04, 0000-07-04 without the year, or a year such as 1998"
		zone    = "zoneinfo must be a time zone by its IANA name, such as Europe/Berlin"
		tag     = "locale must be a language tag (BCP 47) such as en or de-CH"
		phone   = "phoneNumber must be in E.164 form: a plus sign and 2 to 15 digits, such as +14255551212"
	)
	rules := []rule{{name: "everything", patch: `
profile:
  givenName: Alice
  familyName: Liddell
  middleName: Pleasance
  nickname: Al
  profileURL: https://people.example/alice
  pictureURL: https://people.example/alice.png?size=2
  website: https://alice.example
  gender: female
  birthdate: "1852-05-04"
  zoneinfo: America/Argentina/Buenos_Aires
  locale: de-CH-1996
  phoneNumber: "+14255551212"
  address: {formatted: "Christ Church\nOxford", streetAddress: Christ Church, locality: Oxford, region: Oxfordshire, postalCode: OX1 1DP, country: England}
`}, {name: "nothing", patch: `{profile: {}}`}, {name: "another claim", patch: `{profile: {shoeSize: 38}}`, message: "unknown field"}}
	for _, row := range []struct{ field, value, message string }{
		{"profileURL", "http://people.example", address},
		{"pictureURL", "javascript:alert(1)", address},
		{"website", "people.example", address},
		{"website", "https:///alice", address},
		{"website", "https://people.example/ä", address},
		{"birthdate", "1998", ""},
		{"birthdate", "0000-02-29", ""},
		{"birthdate", "1998-7-4", date},
		{"birthdate", "1998-13-01", date},
		{"birthdate", "1998-02-30", date},
		{"birthdate", "1998-04-31", date},
		{"birthdate", "07/04/98", date},
		{"zoneinfo", "UTC", ""},
		{"zoneinfo", "Etc/GMT+5", ""},
		{"zoneinfo", "Europe/", zone},
		{"zoneinfo", "../etc/passwd", zone},
		{"locale", "en", ""},
		{"locale", "zh-Hant-TW", ""},
		{"locale", "en_US", tag},
		{"locale", "e", tag},
		{"phoneNumber", "+442071838750", ""},
		{"phoneNumber", "+1 425 5551212", phone},
		{"phoneNumber", "04255551212", phone},
		{"phoneNumber", "+0425555121", phone},
		{"phoneNumber", "+12345678901234567", "may not be more than 16"},
		{"givenName", strings.Repeat("a", 129), "may not be more than 128"},
	} {
		rules = append(rules, rule{name: row.field + " " + row.value, patch: `{profile: {` + row.field + `: "` + row.value + `"}}`, message: row.message})
	}
	localUser().check(t, rules)
}

func TestLocalUserChanges(t *testing.T) {
	const stranger = "subject can't be changed: the user would become a stranger to every client"
	localUser().checkChanges(t, []change{
		{name: "another subject", before: `{subject: a}`, after: `{subject: b}`, message: stranger},
		{name: "a subject that was the name", before: `{}`, after: `{subject: b}`, message: stranger},
		{name: "no subject any more", before: `{subject: a}`, after: `{}`, message: stranger},
		{name: "the name written out", before: `{}`, after: `{subject: changed}`},
		{name: "other groups", before: `{}`, after: `{groups: [sellers]}`},
		{name: "disabled", before: `{}`, after: `{disabled: true}`},
	})
}
