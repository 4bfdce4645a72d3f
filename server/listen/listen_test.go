package listen_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/server/listen"
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
	err = listen.Serve(t.Context(), logger, 0,
		listen.Listener{Name: "first", Address: address, Handler: http.NotFoundHandler()},
		listen.Listener{Name: "second", Address: taken.Addr().String(), Handler: http.NotFoundHandler()})
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

// Told to end, a listener serves on for the delay, with answers that are each the last of its connection. Then what is under way is
// finished, and nothing new let in.
func TestListenEndsAfterTheDelay(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/quick", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) { close(begun); <-finish; w.WriteHeader(http.StatusTeapot) })
	const delay = 500 * time.Millisecond
	address, end, ended := listening(t, mux, delay)
	if before := get(t, address+"/quick"); before == nil || before.Close {
		t.Fatalf("before: %+v", before)
	}
	slow := make(chan *http.Response)
	go func() { slow <- get(t, address+"/slow") }()
	<-begun
	end()
	told := time.Now()
	if during := get(t, address+"/quick"); during == nil || during.StatusCode != http.StatusOK || !during.Close {
		t.Errorf("during the delay: %+v", during)
	}
	for get(t, address+"/quick") != nil {
		if time.Since(told) > time.Minute {
			t.Fatal("new requests are let in still")
		}
	}
	if took := time.Since(told); took < delay {
		t.Errorf("nobody was let in any more after %v", took)
	}
	close(finish)
	if answer := <-slow; answer == nil || answer.StatusCode != http.StatusTeapot {
		t.Errorf("what was under way: %+v", answer)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// listening serves at an address until end is called.
func listening(t *testing.T, handler http.Handler, delay time.Duration) (address string, end func(), ended <-chan error) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	l := listen.Listener{Name: "test", Address: socket.Addr().String(), Handler: handler}
	go func() { result <- listen.Serve(ctx, slog.New(slog.DiscardHandler), delay, l) }()
	address = "http://" + l.Address
	for begin := time.Now(); get(t, address+"/quick") == nil; {
		if time.Since(begin) > time.Minute {
			t.Fatal("nobody listens")
		}
	}
	return address, cancel, result
}

// get is an answer, or nil where there is nobody.
func get(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Error(err)
		return nil
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	_ = answer.Body.Close() // it is empty
	return answer
}
