// Command photos is the resource server of the demo: a small API that delivers photos to whoever has an access token for
// it. It knows nothing of keys or signatures: it has Latchkey validate each token with an ordinary TokenReview.
//
//	GET  /photos             the list, as JSON            scope photos.read
//	GET  /photos/{id}        a picture                    scope photos.read
//	POST /photos/{id}/prints order a print                scope photos.write
//	GET  /.well-known/oauth-protected-resource            RFC 9728, for anybody
//	GET  /healthz                                         for anybody
//
// Without a valid token the answer is 401, with too little scope 403 (RFC 6750), and 503 when the token could not be
// reviewed: that it is not known whether a token is good is never taken for a no.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

//go:generate go run ./paint -out images

type config struct {
	listen, identifier, authorizationServer string
	reviewURL, reviewCAFile, tokenFile      string
}

func main() {
	var c config
	flag.StringVar(&c.listen, "listen", "localhost:20006", "`address` to serve plain http on")
	flag.StringVar(&c.identifier, "identifier", "https://photos.demo.svc", "the ResourceServer's identifier: the `audience` that tokens must have")
	flag.StringVar(&c.authorizationServer, "authorization-server", "http://localhost:20001", "`issuer` named in the metadata")
	flag.StringVar(&c.reviewURL, "review-url", "", "`URL` that takes a TokenReview")
	flag.StringVar(&c.reviewCAFile, "review-ca-file", "", "PEM `file` with the authority of its certificate")
	flag.StringVar(&c.tokenFile, "token-file", "/var/run/secrets/tokens/latchkey", "`file` with the ServiceAccount token by which this API is known there; read for each request")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	if err != nil {
		slog.Error("photos", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config, logger *slog.Logger) error {
	reviewer, err := newReviewer(c)
	if err != nil {
		return err
	}
	api, err := newAPI(c, reviewer, logger)
	if err != nil {
		return err
	}
	return serve(ctx, c.listen, api, logger)
}

// serve serves until the context ends, then lets the requests in progress finish.
func serve(ctx context.Context, address string, h http.Handler, logger *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	logger.Info("listening", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.Shutdown(drain); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return s.Close()
}
