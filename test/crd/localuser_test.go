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
