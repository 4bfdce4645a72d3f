package main

import "net/http"

// healthHandler answers /healthz while the process runs, and /readyz once every check passes.
func healthHandler(metrics http.Handler, checks map[string]func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		for name, check := range checks {
			if err := check(); err != nil {
				answer(w, http.StatusServiceUnavailable, name+": "+err.Error())
				return
			}
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the prober is gone
}
