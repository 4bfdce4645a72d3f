package oauth

import "net/http"

// AllowAnyOrigin lets scripts of every origin use an endpoint that rests on no cookie (the Fetch standard, "CORS protocol").
// It sets the headers of the response, and when the request is a preflight it answers it and returns true. Methods is a
// comma-separated list, such as "GET, POST".
func AllowAnyOrigin(w http.ResponseWriter, r *http.Request, methods string) (answered bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodOptions {
		h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Allow", methods+", OPTIONS")
	w.WriteHeader(http.StatusNoContent)
	return true
}
