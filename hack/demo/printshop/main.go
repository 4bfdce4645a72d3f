// Command printshop is the client of the demo: a small web application that prints its users' photos. It walks the
// authorization code flow with golang.org/x/oauth2, and shows what happened on the way.
//
//	GET  /           the first page: links #print-photos and #print-photos-write lead to /login
//	GET  /login      to the authorization server; ?write=1 asks for photos.write too
//	GET  /callback   where the authorization server leads back to; an error is shown with its code in #error-code
//	GET  /photos     the photos (#photo-grid, #signed-in-as), and the seven steps with their claims (#steps)
//	GET  /photos/{id}        one picture, fetched with the access token
//	POST /photos/{id}/print  order a print (button .order-print); #error-code holds insufficient_scope when it may not
//	POST /logout     forget the tokens
//	GET  /healthz
//
// The client's credentials are read from its Secret, as a pod would see it mounted (-credentials-dir), or through the API
// (-credentials-secret). They are read anew for each sign-in and each exchange of a code, so that a rotation is survived.
//
// #error-code also holds what the shop itself finds wrong: invalid_state, invalid_issuer, invalid_response, invalid_id_token,
// and unavailable when somebody does not answer.
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
	"strings"
	"syscall"
	"time"
)

type config struct {
	listen, publicURL             string
	issuer, photosURL, resource   string
	credentialsDir                string
	credentialsSecret, kubeconfig string
}

func main() {
	var c config
	flag.StringVar(&c.listen, "listen", "localhost:20005", "`address` to serve plain http on")
	flag.StringVar(&c.publicURL, "public-url", "", "`URL` by which browsers reach it; http:// and the address when empty")
	flag.StringVar(&c.issuer, "issuer", "", "`issuer` identifier; the Secret's entry of that name when empty")
	flag.StringVar(&c.photosURL, "photos-url", "http://localhost:20006", "`URL` of the photos API")
	flag.StringVar(&c.resource, "resource", "https://photos.demo.svc", "resource `identifier` of the photos API")
	flag.StringVar(&c.credentialsDir, "credentials-dir", "", "`directory` in which the client's Secret is mounted")
	flag.StringVar(&c.credentialsSecret, "credentials-secret", "demo/print-shop-oauth", "`namespace/name` of the client's Secret, read through the API without a -credentials-dir")
	flag.StringVar(&c.kubeconfig, "kubeconfig", "", "kubeconfig `file` for that")
	flag.Parse()
	if c.publicURL == "" {
		c.publicURL = "http://" + c.listen
	}
	c.publicURL = strings.TrimRight(c.publicURL, "/")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	if err != nil {
		slog.Error("print-shop", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c config, logger *slog.Logger) error {
	source, err := newCredentialSource(c)
	if err != nil {
		return err
	}
	shop, err := newShop(c, source, logger)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: shop.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
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
