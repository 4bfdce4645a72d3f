package publish_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/controllers/publish"
)

// told is what somebody who follows a Secret was told, in order.
type told struct {
	mu    sync.Mutex
	words []string
}

// set takes what is told: the entry `word`, or that the Secret is gone. It can't use `bad`.
func (w *told) set(data map[string][]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	word := "gone"
	if data != nil {
		word = string(data["word"])
	}
	w.words = append(w.words, word)
	if word == "bad" {
		return errors.New("no good")
	}
	return nil
}

func (w *told) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.words, " ")
}

// lines is a log for concurrent writers.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func holding(name, word string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: name}, Data: map[string][]byte{"word": []byte(word)}}
}

// follow runs WatchSecret for the test.
func follow(t *testing.T, name string, log io.Writer) *told {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cache, err := publish.NewCache(cluster.RESTConfig(), newScheme(), operatorNamespace, &publish.Watchdog{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cache.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("cache: %v", err)
		}
	})
	w := &told{}
	if err := publish.WatchSecret(ctx, cache, operatorNamespace, name, slog.New(slog.NewTextHandler(log, nil)), w.set); err != nil {
		t.Fatal(err)
	}
	return w
}

// Whoever follows a Secret is told what is in it, that it is gone, so that what it vouched for is believed no more, and what is in the next one.
func TestSecretThatIsFollowedIsToldOfUntilItIsGone(t *testing.T) {
	create(t, holding("another", "another's"))
	secret := create(t, holding("followed", "first"))
	log := &lines{}
	w := follow(t, "followed", log)
	say := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return w.all() == want })
	}
	say("first")
	update(t, secret, func(s *corev1.Secret) { s.Data["word"] = []byte("second") })
	say("first second")
	if log.String() != "" {
		t.Errorf("the log has %s", log)
	}
	update(t, secret, func(s *corev1.Secret) { s.Data["word"] = []byte("bad") })
	say("first second bad")
	eventually(t, "an error in the log", func() bool { return strings.Contains(log.String(), "secret=followed") })
	remove(t, secret)
	say("first second bad gone")
	create(t, holding("followed", "next"))
	say("first second bad gone next")
	if strings.Contains(log.String(), "another") {
		t.Errorf("the log has %s", log)
	}
}
