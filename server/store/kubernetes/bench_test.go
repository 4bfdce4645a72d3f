package kubernetes

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// manyGrants is as many as a busy site has alive.
const manyGrants = 100_000

// filledStore is a Store that the watch has told of many grants; it has no client, because nothing here may need one.
func filledStore(b *testing.B) *Store {
	s := &Store{}
	k := grantKind()
	s.objects = &objects[store.Grant, *v1alpha1.OAuthGrant]{kind: k, index: newIndex(time.Now, k.decode, s.lookup.Replace)}
	list := make([]any, manyGrants)
	for i := range list {
		o := object(fmt.Sprintf("g%d", i), fmt.Sprint(i+1), false)
		o.Spec.ExpiresAt = metav1.NewTime(time.Now().Add(time.Hour))
		o.Spec.AuthorizationServerName, o.Spec.User.UID, o.Spec.SessionID = "default", fmt.Sprint("user-", i/10), fmt.Sprint("session-", i)
		list[i] = o
	}
	if err := s.index.Replace(list, fmt.Sprint(manyGrants)); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filledStore(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(b.Context(), "g77777"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkFind is what is asked at every authorization request of a user who is signed in.
func BenchmarkFind(b *testing.B) {
	s := filledStore(b)
	for name, q := range map[string]store.Query{"of a user": {UserUID: "user-7777"}, "of a session": {SessionID: "session-77777"}} {
		q.AuthorizationServer = "default"
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if found, err := s.Find(b.Context(), q); err != nil || len(found) == 0 {
						b.Error(found, err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkWatchEvent(b *testing.B) {
	s := filledStore(b)
	o := object("new", "1", false)
	b.ReportAllocs()
	version := manyGrants
	for b.Loop() {
		version++
		o.ResourceVersion = fmt.Sprint(version)
		if err := s.index.Update(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	s := filledStore(b)
	list := make([]any, manyGrants)
	for i := range list {
		list[i] = object(fmt.Sprintf("g%d", i), fmt.Sprint(i+1), false)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.index.Replace(list, fmt.Sprint(manyGrants)); err != nil {
			b.Fatal(err)
		}
	}
}
