package replicas

import (
	"net/http"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/server/store"
	"github.com/latchkey-io/latchkey/server/token"
)

// Of a hundred that refresh one token at once, one compare-and-swap gets through, and all get the same successor.
func TestRefreshHundredAtOnce(t *testing.T) {
	s := newSite(t, 2)
	id, first := s.approved()
	version := s.object(id).ResourceVersion
	for _, r := range s.replicas {
		r.writes.Store(0)
	}
	want := token.Refresh(s.iss, id, 2)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range 100 {
		done.Go(func() {
			<-start
			answer, err := s.refresh(s.replicas[i%2], first.RefreshToken)
			if err != nil || answer.status != http.StatusOK || answer.RefreshToken != want || answer.AccessToken == "" {
				t.Errorf("%d %s, another successor: %v, %v", answer.status, answer.Error, answer.RefreshToken != want, err)
			}
		})
	}
	close(start)
	done.Wait()
	o := s.object(id)
	if o.Status.Generation != 2 || o.Status.RevokedAt != nil || o.ResourceVersion == version {
		t.Errorf("status %+v", o.Status)
	}
	for i, r := range s.replicas {
		if n := r.writes.Load(); n > 1 {
			t.Errorf("replica %d sent %d writes", i, n)
		}
	}
}

// One after the other, whichever replica is asked, at once and without waiting for watches: one write each, and no token is lost.
func TestRefreshOneAfterTheOther(t *testing.T) {
	s := newSite(t, 2)
	id, last := s.approved()
	for i := range 20 {
		answer, err := s.refresh(s.replicas[(i+1)%2], last.RefreshToken)
		if err != nil || answer.status != http.StatusOK || answer.RefreshToken != token.Refresh(s.iss, id, int64(i)+2) {
			t.Fatalf("refresh %d: %d %s, %v", i, answer.status, answer.Error, err)
		}
		last = answer
	}
	if o := s.object(id); o.Status.Generation != 21 {
		t.Errorf("status %+v", o.Status)
	}
}

// A token whose successor was used is reused, at whichever replica: the family is revoked everywhere.
func TestRefreshReuse(t *testing.T) {
	s := newSite(t, 2)
	id, first := s.approved()
	second, err := s.refresh(s.replicas[0], first.RefreshToken)
	if err != nil || second.status != http.StatusOK {
		t.Fatalf("%+v, %v", second, err)
	}
	third, err := s.refresh(s.replicas[0], second.RefreshToken)
	if err != nil || third.status != http.StatusOK {
		t.Fatalf("%+v, %v", third, err)
	}
	if answer, err := s.refresh(s.replicas[0], first.RefreshToken); err != nil || answer.Error != "invalid_grant" {
		t.Errorf("%+v, %v", answer, err)
	}
	if o := s.object(id); o.Status.RevokedReason != store.ReasonRefreshTokenReused {
		t.Errorf("status %+v", o.Status)
	}
	for i, r := range s.replicas {
		if answer, err := s.refresh(r, third.RefreshToken); err != nil || answer.Error != "invalid_grant" {
			t.Errorf("replica %d takes the newest token: %+v, %v", i, answer, err)
		}
	}
}

// A grant that was deleted with kubectl is refreshed nowhere, not even where it is still in memory.
func TestRefreshAfterKubectlDelete(t *testing.T) {
	s := newSite(t, 2)
	id, first := s.approved()
	o := s.object(id)
	if err := s.client.Delete(t.Context(), o, client.Preconditions{UID: &o.UID}); err != nil {
		t.Fatal(err)
	}
	for i, r := range s.replicas {
		if answer, err := s.refresh(r, first.RefreshToken); err != nil || answer.Error != "invalid_grant" {
			t.Errorf("replica %d: %+v, %v", i, answer, err)
		}
	}
}

// The grant's own times are what kube-apiserver keeps: a refresh long after tells from them that the grant was left alone.
func TestRefreshLeftAlone(t *testing.T) {
	s := newSite(t, 1)
	id, first := s.approved()
	second, err := s.refresh(s.replicas[0], first.RefreshToken)
	if err != nil || second.status != http.StatusOK {
		t.Fatalf("%+v, %v", second, err)
	}
	o := s.object(id)
	before := metav1.NewTime(time.Now().Add(-8 * 24 * time.Hour))
	o.Status.RotatedAt = &before
	if err := s.client.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fresh := s.start()
	if answer, err := s.refresh(fresh, second.RefreshToken); err != nil || answer.Error != "invalid_grant" {
		t.Errorf("%+v, %v", answer, err)
	}
	if o := s.object(id); o.Status.RevokedAt != nil {
		t.Errorf("status %+v", o.Status)
	}
}
