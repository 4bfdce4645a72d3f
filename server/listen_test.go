package server_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/latchkey-io/latchkey/server"
)

func TestListenOpensAllOrNone(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }() // the end of the test
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	err = server.Listen(t.Context(), logger,
		server.Listener{Name: "first", Address: address, Handler: http.NotFoundHandler()},
		server.Listener{Name: "second", Address: taken.Addr().String(), Handler: http.NotFoundHandler()})
	if err == nil {
		t.Fatal("an address that is taken was listened at")
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the first listener is still open: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
