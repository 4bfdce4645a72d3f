package compile

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/server/registry"
)

func TestProfile(t *testing.T) {
	m := newMemory(t)
	users, problems := LocalUser(m, m.addUser(t, "alice", `
profile:
  givenName: Alice
  familyName: Liddell
  middleName: Pleasance
  nickname: Al
  profileURL: https://people.example/alice
  pictureURL: https://people.example/alice.png
  website: https://alice.example
  gender: female
  birthdate: "1852-05-04"
  zoneinfo: Europe/London
  locale: en-GB
  phoneNumber: "+442071838750"
  address: {formatted: "Christ Church\nOxford", streetAddress: Christ Church, locality: Oxford, region: Oxfordshire, postalCode: OX1 1DP, country: England}
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := users["default"].Profile
	want := registry.Profile{
		GivenName: "Alice", FamilyName: "Liddell", MiddleName: "Pleasance", Nickname: "Al",
		ProfileURL: "https://people.example/alice", PictureURL: "https://people.example/alice.png", Website: "https://alice.example",
		Gender: "female", Birthdate: "1852-05-04", Zoneinfo: "Europe/London", Locale: "en-GB",
		UpdatedAt: m.users[0].CreationTimestamp.Time, PhoneNumber: "+442071838750",
		Address: registry.Address{Formatted: "Christ Church\nOxford", StreetAddress: "Christ Church", Locality: "Oxford", Region: "Oxfordshire", PostalCode: "OX1 1DP", Country: "England"},
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestProfileSaysWhenTheSpecChanged(t *testing.T) {
	created := time.Unix(1_700_000_000, 0)
	entry := func(manager, subresource, fields string, seconds int64) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, Time: &metav1.Time{Time: created.Add(time.Duration(seconds) * time.Second)},
			FieldsV1: metav1.NewFieldsV1(fields)}
	}
	applied := entry("kubectl", "", `{"f:metadata":{"f:annotations":{}},"f:spec":{"f:email":{}}}`, 10)
	edited := entry("someone", "", `{"f:spec":{"f:groups":{}}}`, 20)
	labelled := entry("kubectl-label", "", `{"f:metadata":{"f:labels":{"f:spec":{}}}}`, 30)
	observed := entry("latchkey-controller", "status", `{"f:status":{"f:conditions":{}},"f:spec":{}}`, 40)
	for name, tc := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    int64
	}{
		"nobody is noted":           {nil, 0},
		"one writer":                {[]metav1.ManagedFieldsEntry{applied}, 10},
		"the last of two":           {[]metav1.ManagedFieldsEntry{edited, applied}, 20},
		"labels and status are not": {[]metav1.ManagedFieldsEntry{applied, labelled, observed}, 10},
	} {
		m := newMemory(t)
		u := m.addUser(t, "alice", `{}`)
		u.CreationTimestamp, u.ManagedFields = metav1.NewTime(created), tc.entries
		for _, cached := range []bool{false, true} {
			if cached { // what a cache keeps
				u.ManagedFields = SpecWriters(u.ManagedFields)
			}
			users, _ := LocalUser(m, u)
			if got := users["default"].Profile.UpdatedAt; !got.Equal(created.Add(time.Duration(tc.want) * time.Second)) {
				t.Errorf("%s (cached %t): %s", name, cached, got.Sub(created))
			}
		}
		if slices.ContainsFunc(u.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return e.FieldsV1 != nil }) {
			t.Errorf("%s: the fields are kept", name)
		}
	}
}
