package apiproxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault answers a request in place of the API server, or lets it have it by calling forward.
type Fault func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// Refuse answers as kube-apiserver does that did nothing. With retryAfter, in seconds, clients of Kubernetes try again by themselves.
func Refuse(code int, reason metav1.StatusReason, message string, retryAfter int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		status := metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Code: int32(code), Reason: reason, Message: message,
		}
		w.Header().Set("Content-Type", "application/json")
		if retryAfter > 0 {
			status.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(retryAfter)}
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(status); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// Conflict is the answer to a write that is bound to another version of the object.
func Conflict() Fault {
	return Refuse(http.StatusConflict, metav1.StatusReasonConflict,
		"Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again", 0)
}

// TooManyRequests is the answer of an API server that sheds load (API Priority and Fairness).
func TooManyRequests() Fault {
	return Refuse(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later", 1)
}

// InternalError is the answer of an API server that is broken, or whose etcd is.
func InternalError() Fault {
	return Refuse(http.StatusInternalServerError, metav1.StatusReasonInternalError, "Internal error occurred: etcdserver: request timed out", 0)
}

// LoseRequest breaks the connection before the API server has the request.
func LoseRequest() Fault {
	return func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }
}

// LoseReply has the API server do what is asked, and then breaks the connection: the caller can't know what came of it.
func LoseReply() Fault { return Then(func() {}) }

// Then has the API server do what is asked, calls done and breaks the connection.
func Then(done func()) Fault {
	return func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(&lost{header: http.Header{}}, r)
		done()
		panic(http.ErrAbortHandler)
	}
}

// lost is a reply that nobody reads.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(p []byte) (int, error) { return len(p), nil }
func (l *lost) WriteHeader(int)             {}

// Delay holds the request back for a time, which is the round trip of an API server far away or overloaded.
func Delay(d time.Duration) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			forward.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}

// Hold holds the request back until released is closed.
func Hold(released <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		select {
		case <-released:
			forward.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}
