package oauthclient

import (
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// at is a version of a client.
func at(version string) *v1alpha1.OAuthClient {
	return &v1alpha1.OAuthClient{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "storefront", ResourceVersion: version}}
}

func TestWhatWasWrittenIsPendingUntilTheCacheHasIt(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var w written
	if w.pending(at("7"), now) {
		t.Error("pending before anything was written")
	}
	w.status(at("100"), now)
	for _, version := range []string{"7", "99"} {
		if !w.pending(at(version), now) {
			t.Errorf("version %s is taken for what was written", version)
		}
	}
	if w.pending(at("101"), now) || w.pending(at("7"), now) || len(w.clients) != 0 {
		t.Error("pending, or remembered, although the cache has something newer")
	}
	w.status(at("100"), now)
	w.forget(client.ObjectKeyFromObject(at("")))
	if w.pending(at("7"), now) {
		t.Error("a client that is gone holds up another one of its name")
	}
	w.status(at("100"), now)
	if w.pending(at("7"), now.Add(pendingAtMost)) {
		t.Error("waits for ever for what etcd has forgotten")
	}
	w.status(at("another kind of version"), now)
	if w.pending(at("7"), now) {
		t.Error("what can't be compared holds up a client")
	}
}

// What the controller writes comes back once, before or after the answer, and is no news then. All else is: what was there before, what comes
// later, the same again, and what comes of a write that failed or changed nothing.
func TestOwnWritesAreNoNews(t *testing.T) {
	now, key := time.Unix(1_700_000_000, 0), client.ObjectKeyFromObject(at(""))
	for name, tc := range map[string]struct {
		// during comes while version 100 is written, and after when that is done.
		during, after []string
		// result is the version that the write leaves, and err its error.
		result string
		err    error
		// news are those of after that are, and missed whether one of during was.
		news   []string
		missed bool
	}{
		"it comes afterwards":                      {nil, []string{"100"}, "100", nil, nil, false},
		"it comes before the answer":               {[]string{"100"}, nil, "100", nil, nil, false},
		"it comes twice":                           {nil, []string{"100", "100"}, "100", nil, []string{"100"}, false},
		"it comes before the answer, and after":    {[]string{"100"}, []string{"100"}, "100", nil, []string{"100"}, false},
		"somebody else wrote before":               {nil, []string{"99", "100"}, "100", nil, []string{"99"}, false},
		"and that comes before the answer":         {[]string{"99", "100"}, nil, "100", nil, nil, true},
		"somebody else wrote after it":             {nil, []string{"100", "101"}, "100", nil, []string{"101"}, false},
		"and only that comes: the watch had ended": {nil, []string{"101"}, "100", nil, []string{"101"}, false},
		"and both come before the answer":          {[]string{"100", "101"}, nil, "100", nil, nil, true},
		"the write failed":                         {[]string{"100"}, []string{"101"}, "7", errors.New("refused"), []string{"101"}, true},
		"there was nothing to write":               {[]string{"99"}, []string{"100"}, "7", nil, []string{"100"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var r Reconciler
			isNews := func(version string) bool {
				return r.notOwn(event.UpdateEvent{ObjectOld: at("1"), ObjectNew: at(version)})
			}
			o := at("7")
			err := r.written.write(key, kindClient, o, now, func() error {
				for _, version := range tc.during {
					if isNews(version) {
						t.Errorf("%s is not held until it is known what was written", version)
					}
				}
				o.ResourceVersion = tc.result
				return tc.err
			})
			var news []string
			for _, version := range tc.after {
				if isNews(version) {
					news = append(news, version)
				}
			}
			if missed := r.written.missed(key); !errors.Is(err, tc.err) || !slices.Equal(news, tc.news) || missed != tc.missed {
				t.Errorf("%v, news %q, missed %t", err, news, missed)
			}
			if r.written.pending(at("101"), now); len(r.written.clients) != 0 {
				t.Errorf("remembered for ever: %v", r.written.clients)
			}
		})
	}
}

// A Secret and a client may well have the same version where they are kept in different places.
func TestOwnWriteOfAnotherKindIsNews(t *testing.T) {
	key := client.ObjectKeyFromObject(at(""))
	var w written
	if err := w.write(key, kindSecret, at("100"), time.Time{}, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{}
	err := w.write(key, kindSecret, secret, time.Time{}, func() error {
		secret.ResourceVersion = "100"
		return nil
	})
	if err != nil || w.isOwn(key, kindClient, "100") || !w.isOwn(key, kindSecret, "100") || len(w.clients) != 0 {
		t.Errorf("%v, %v", err, w.clients)
	}
}
