package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProfilesAreServedOnlyWhenAskedFor(t *testing.T) {
	for _, profiling := range []bool{false, true} {
		h := healthHandler(http.NotFoundHandler(), profiling, nil)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if served := w.Code == http.StatusOK; served != profiling {
				t.Errorf("%s, profiling %t: %d", path, profiling, w.Code)
			}
		}
	}
}

func TestReadyIsWhatTheChecksSay(t *testing.T) {
	failing := errors.New("not yet")
	p := &process{checks: map[string]func() error{"a": func() error { return nil }, "b": func() error { return failing }}}
	if !errors.Is(p.ready(), failing) {
		t.Error("ready although a check fails")
	}
	failing = nil
	if err := p.ready(); err != nil {
		t.Error(err)
	}
}
