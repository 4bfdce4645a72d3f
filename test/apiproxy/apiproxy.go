// Package apiproxy stands between a client and a real kube-apiserver, and makes that one as bad as networks and loaded
// clusters are: it refuses chosen requests as kube-apiserver would, loses replies, delays, or is not there at all. Everything
// else passes through, watches included.
//
// A client comes with a bearer token; a client certificate would end here.
package apiproxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Proxy is a running proxy. Its methods may be called from several goroutines.
type Proxy struct {
	server  *httptest.Server
	forward *httputil.ReverseProxy
	away    atomic.Bool

	mu       sync.Mutex
	faults   []*Injection
	passed   []Request
	connects map[net.Conn]struct{}
}

// Start starts a proxy to the API server that config is for, on a free port of the loopback interface.
func Start(config *rest.Config) (*Proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	// Nobody's credentials but the caller's own.
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, err
	}
	p := &Proxy{connects: map[net.Conn]struct{}{}}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		// An API server that does not answer is a broken connection, here as there.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.Config.ConnState = p.follow
	p.server.StartTLS()
	return p, nil
}

// Close ends the proxy and every connection.
func (p *Proxy) Close() {
	p.Away(true)
	p.server.Close()
}

// URL is where the proxy listens.
func (p *Proxy) URL() string { return p.server.URL }

// CA is the PEM certificate that clients verify the proxy by.
func (p *Proxy) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Kubeconfig writes, to the file, the kubeconfig in another file with the proxy as its API server.
func (p *Proxy) Kubeconfig(from, to string) error {
	config, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return err
	}
	for _, c := range config.Clusters {
		c.Server, c.CertificateAuthority, c.CertificateAuthorityData = p.URL(), "", p.CA()
	}
	return clientcmd.WriteToFile(*config, to)
}

// Away says whether the API server is there. While it is away every connection is cut, and so is each new one.
func (p *Proxy) Away(away bool) {
	p.away.Store(away)
	if away {
		p.Cut()
	}
}

// Cut breaks every connection, once: what is under way is lost, watches too.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connects {
		_ = c.Close() // it is to be broken
	}
}

// follow knows the connections that are open.
func (p *Proxy) follow(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tlsConn, ok := c.(*tls.Conn); ok {
		c = tlsConn.NetConn()
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(p.connects, c)
	default:
		p.connects[c] = struct{}{}
		if p.away.Load() {
			_ = c.Close() // nobody is there
		}
	}
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	if p.away.Load() {
		panic(http.ErrAbortHandler)
	}
	request := Parse(r)
	fault := p.arrive(request)
	if fault == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	fault(w, r, p.forward)
}

// arrive notes a request and finds what is to happen to it; nil for nothing.
func (p *Proxy) arrive(request Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed = append(p.passed, request)
	for _, i := range p.faults {
		if i.left != 0 && i.match(request) {
			i.left--
			i.met++
			return i.fault
		}
	}
	return nil
}

// Requests are those that arrived and match, in order, whatever became of them.
func (p *Proxy) Requests(match Match) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Request
	for _, r := range p.passed {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}

// Injection is a fault that waits for requests.
type Injection struct {
	proxy     *Proxy
	match     Match
	fault     Fault
	left, met int
}

// Inject has a fault happen to the next requests that match: so many, or all of them when times is negative. Of several injections
// that match, the one that was made first counts.
func (p *Proxy) Inject(match Match, times int, fault Fault) *Injection {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := &Injection{proxy: p, match: match, fault: fault, left: times}
	p.faults = append(p.faults, i)
	return i
}

// Remove ends the injection.
func (i *Injection) Remove() {
	i.proxy.mu.Lock()
	defer i.proxy.mu.Unlock()
	i.proxy.faults = slices.DeleteFunc(i.proxy.faults, func(other *Injection) bool { return other == i })
}

// Met is how many requests met the fault.
func (i *Injection) Met() int {
	i.proxy.mu.Lock()
	defer i.proxy.mu.Unlock()
	return i.met
}

// RESTConfig is how the identity of a kubeconfig (a bearer token) reaches the API server through the proxy.
func (p *Proxy) RESTConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(p.CA()) {
		return nil, errors.New("apiproxy: no certificate")
	}
	config.Host, config.TLSClientConfig, config.QPS = p.URL(), rest.TLSClientConfig{CAData: p.CA()}, -1
	return config, nil
}
