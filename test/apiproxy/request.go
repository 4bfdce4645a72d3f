package apiproxy

import (
	"net/http"
	"strings"
)

// Request is what a request to the API server is for. A request for no resource, such as discovery, has a Verb alone.
type Request struct {
	// Verb is one of RBAC's: get, list, watch, create, update, patch, delete, deletecollection.
	Verb string
	// Group is empty for the core group; Namespace for what is cluster-wide; Name for a collection.
	Group, Resource, Subresource, Namespace, Name string
}

// Parse reads from method and URL what a request is for.
func Parse(r *http.Request) Request {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var out Request
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		out.Group, parts = parts[1], parts[3:]
	default:
		return Request{Verb: strings.ToLower(r.Method)}
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		out.Namespace, parts = parts[1], parts[2:]
	}
	for i, field := range []*string{&out.Resource, &out.Name, &out.Subresource} {
		if i < len(parts) {
			*field = parts[i]
		}
	}
	out.Verb = verb(r, out.Name == "")
	return out
}

func verb(r *http.Request, collection bool) string {
	watch := r.URL.Query().Get("watch")
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if collection {
			return "deletecollection"
		}
		return "delete"
	}
	switch {
	case watch == "true" || watch == "1":
		return "watch"
	case collection:
		return "list"
	}
	return "get"
}

// Writes says whether the request changes something.
func (r Request) Writes() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// Match chooses requests.
type Match func(Request) bool

// To matches requests of a verb to a resource, which may have a subresource after a slash, such as oauthclients/status.
func To(verb, resource string) Match {
	return func(r Request) bool { return r.Verb == verb && r.of(resource) }
}

// Of matches every request for a resource.
func Of(resource string) Match { return func(r Request) bool { return r.of(resource) } }

func (r Request) of(resource string) bool {
	resource, sub, _ := strings.Cut(resource, "/")
	return r.Resource == resource && r.Subresource == sub
}

// Writing matches what changes something; events and leases are nobody's state and are not meant.
func Writing(r Request) bool { return r.Writes() && r.Resource != "events" && r.Resource != "leases" }

// Calls matches every request but watches, events and leases.
func Calls(r Request) bool {
	return r.Resource != "" && r.Verb != "watch" && r.Resource != "events" && r.Resource != "leases"
}

// In limits to a namespace what m matches.
func (m Match) In(namespace string) Match {
	return func(r Request) bool { return r.Namespace == namespace && m(r) }
}

// Named limits to an object what m matches; a request that creates names it in its body and does not match.
func (m Match) Named(name string) Match {
	return func(r Request) bool { return r.Name == name && m(r) }
}
