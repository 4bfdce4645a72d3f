package loglimit

import (
	"log/slog"
	"net/netip"
)

// audit is the message of the audit's records.
const audit = "audit"

// line is what is known of a record.
type line struct {
	// kind is the event of the audit, or else the message.
	kind string
	// source is the address that caused it; zero where the record names none, as if they were all of one network.
	source netip.Addr
	audit  bool
	// result, clientAuth and user are attributes of the audit; clientAuth is empty, and user false, without them.
	result, clientAuth string
	user               bool
}

// lineOf reads a record.
func lineOf(r slog.Record) line {
	l := line{kind: r.Message, audit: r.Message == audit}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "event":
			if l.audit {
				l.kind = a.Value.String()
			}
		case "source":
			l.source, _ = netip.ParseAddr(a.Value.String())
		case "result":
			l.result = a.Value.String()
		case "client_auth":
			l.clientAuth = a.Value.String()
		case "user":
			l.user = true
		}
		return true
	})
	return l
}

// bounded says whether the line tells of somebody who has not proven who he is, or is no audit at all. An event that is not known here is
// always written.
func (l line) bounded() bool {
	switch {
	case !l.audit:
		return true
	case l.kind == "token_refused" || l.kind == "device_refused" || l.kind == "introspection_refused" || l.kind == "revocation_refused":
		return l.clientAuth == "" || l.clientAuth == "none" // clients that are public prove nothing
	case l.kind == "code_refused" || l.kind == "device_code":
		return !l.user // else it is who is signed in
	case l.kind == "sign_in": // the user is whom the password was for
		return l.result != "ok"
	}
	return l.kind == "sign_out" && l.result == "refused" // because of a request that anybody can make up
}
