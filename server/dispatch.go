package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/server/limit"
	"github.com/latchkey-io/latchkey/server/oauth"
	"github.com/latchkey-io/latchkey/server/registry"
	"github.com/latchkey-io/latchkey/server/ui"
	"github.com/latchkey-io/latchkey/server/userinfo"
)

// dispatcher takes one snapshot for a request, finds issuer and route, and turns errors into answers.
type dispatcher struct {
	routes  map[string]route
	holder  *registry.Holder
	pages   *ui.Pages
	logger  *slog.Logger
	metrics *Metrics
	now     func() time.Time
	limits  *limit.Requests
	source  func(*http.Request) netip.Addr
}

func (d *dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := d.now()
	rec := &recorder{ResponseWriter: w}
	rt, iss, err := d.find(r)
	if err == nil {
		err = d.serve(rec, r, rt, iss)
	}
	if err != nil {
		d.fail(rec, r, rt, iss, err)
	}
	d.metrics.observe(rt.name, rec.status, d.now().Sub(begin))
}

// find is the first line of a request: the snapshot is taken here, once. The issuer is found by its path, and by the Host
// header where several share the path; a host that is nobody's is answered for no issuer.
func (d *dispatcher) find(r *http.Request) (route, *registry.Issuer, error) {
	rt, issuerPath, ok := d.match(r.URL.Path)
	if !ok {
		return route{}, nil, oauth.Errorf(oauth.NotFound, "there is nothing at this address")
	}
	snapshot := d.holder.Load()
	switch {
	case snapshot == nil && rt.shared:
		return rt, nil, nil
	case snapshot == nil: // the route is known all the same: a client of /token reads JSON
		return rt, nil, oauth.Errorf(oauth.TemporarilyUnavailable, "the server has no current view of the cluster; try again in a moment")
	}
	iss, ok := snapshot.ByPath(r.Host, issuerPath)
	if !ok && !rt.shared {
		return rt, nil, oauth.Errorf(oauth.NotFound, "no issuer is known at this address")
	}
	return rt, iss, nil
}

// match splits a path into the issuer's part and a route. Well-known URLs take the issuer's path behind them as well (RFC
// 8414 section 3.1).
func (d *dispatcher) match(path string) (rt route, issuerPath string, ok bool) {
	if strings.HasPrefix(path, "/.well-known/") {
		word, rest, _ := strings.Cut(path[len("/.well-known/"):], "/")
		if rest != "" {
			rest = "/" + rest
		}
		rt, ok = d.routes["/.well-known/"+word]
		return rt, rest, ok
	}
	// No route has more than two segments.
	for end, segments := len(path), 0; segments < 2; segments++ {
		slash := strings.LastIndexByte(path[:end], '/')
		if slash < 0 {
			break
		}
		if rt, ok := d.routes[path[slash:]]; ok {
			return rt, path[:slash], true
		}
		if strings.HasPrefix(path[slash:], ui.AssetsPath) {
			return d.routes[ui.AssetsPath], path[:slash], true
		}
		end = slash
	}
	return route{}, "", false
}

func (d *dispatcher) serve(w *recorder, r *http.Request, rt route, iss *registry.Issuer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	setCommonHeaders(w.Header(), iss)
	if rt.kind.crossOrigin() && (rt.kind == public || r.Header.Get("Origin") != "") { // what is public may be kept, and shown to others
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return preflight(w, rt)
		}
	}
	if !allows(rt.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(rt.methods, ", "))
		return oauth.Errorf(oauth.MethodNotAllowed, "use %s", strings.Join(rt.methods, " or "))
	}
	r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, maxBody)
	if iss != nil {
		r = r.WithContext(registry.In(r.Context(), iss))
	}
	if retry, ok := d.admit(r, rt); !ok {
		return oauth.Wait(retry)
	}
	return d.judge(w, r, rt.serve(w, r, iss))
}

// admit counts requests for pages, all of which are anonymous when they come in.
func (d *dispatcher) admit(r *http.Request, rt route) (retryAfter time.Duration, ok bool) {
	if rt.kind != page {
		return 0, true
	}
	return d.limits.Page(d.source(r), d.now())
}

// judge counts requests whose credential was no good, and has a network that sends many of them wait. Requests that have proven
// themselves are served meanwhile, also from there: many may be behind one address.
func (d *dispatcher) judge(w http.ResponseWriter, r *http.Request, err error) error {
	if err == nil {
		return nil
	}
	if code := oauth.AsError(err).Code; code != oauth.InvalidClient && code != oauth.InvalidToken {
		return err
	}
	if retry, ok := d.limits.Unproven(d.source(r), d.now()); !ok {
		w.Header().Del("WWW-Authenticate")
		return oauth.Wait(retry)
	}
	return err
}

// crossOrigin says whether scripts of other origins may read what is answered.
func (k kind) crossOrigin() bool { return k != page && k != backend }

// preflight lets browser clients of any origin call the endpoint (Fetch, CORS-preflight). Nothing there depends on
// cookies, so nothing is given away.
func preflight(w http.ResponseWriter, rt route) error {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(rt.methods, ", "))
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func allows(methods []string, method string) bool {
	return slices.Contains(methods, method) || (method == http.MethodHead && slices.Contains(methods, http.MethodGet))
}

// setCommonHeaders sets what every answer carries. HSTS is left out for loopback hosts: it knows no ports and would cut
// off every other http server of the machine.
func setCommonHeaders(h http.Header, iss *registry.Issuer) {
	oauth.NoSniff(h)
	h["Referrer-Policy"] = noReferrer
	if iss != nil && iss.Secure && !iss.Loopback {
		h["Strict-Transport-Security"] = oneYear
	}
}

// What setCommonHeaders sets; nobody changes it.
var (
	noReferrer = []string{"no-referrer"}
	oneYear    = []string{"max-age=31536000"}
)

// fail turns an error into the answer of the route's kind. Only what an oauth.Error says is told. The cause is logged: as a
// failure when it is ours, else for those who look closely, because endpoints audit what they refuse. Without a cause nothing has
// failed: somebody was told to come back later, and must not be able to raise an alarm by not doing so.
func (d *dispatcher) fail(w *recorder, r *http.Request, rt route, iss *registry.Issuer, err error) {
	e := oauth.AsError(err)
	level := slog.LevelDebug
	if e.Code.Status() >= http.StatusInternalServerError && e.Err != nil {
		level = slog.LevelError
	}
	d.logger.Log(r.Context(), level, "request failed", "route", rt.name, "code", e.Code, "error", e)
	if w.status != 0 {
		return // the answer is on its way: nothing can be added to it
	}
	if e.RetryAfter > 0 {
		oauth.SetRetryAfter(w.Header(), e.RetryAfter)
	}
	if e.Code == oauth.TemporarilyUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if err := d.writeFailure(w, r, rt, iss, e); err != nil && w.status == 0 { // else the other side is gone
		d.logger.ErrorContext(r.Context(), "the page of a failure could not be made", "route", rt.name, "error", err)
		http.Error(w, "the page could not be shown", http.StatusInternalServerError)
	}
}

func (d *dispatcher) writeFailure(w *recorder, r *http.Request, rt route, iss *registry.Issuer, e *oauth.Error) error {
	switch rt.kind {
	case bearer:
		return oauth.WriteBearerError(w, e, !errors.Is(e, userinfo.ErrNoToken))
	case api, backend, public:
		return oauth.WriteError(w, r, e)
	}
	v := ui.ErrorPage{Code: string(e.Code), Description: e.Description}
	v.IssuerName = "Latchkey"
	if iss != nil {
		v.Chrome = ui.Chrome{IssuerName: iss.DisplayName, IssuerHost: iss.Host, BasePath: iss.Path}
	}
	return d.pages.Error(w, e.Code.Status(), v)
}

// recorder remembers the status that was sent.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
