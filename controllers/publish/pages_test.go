package publish

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// clientsOf are n clients, from the one with the number first.
func clientsOf(first, n int, next string) *v1alpha1.OAuthClientList {
	list := &v1alpha1.OAuthClientList{ListMeta: metav1.ListMeta{ResourceVersion: "42", Continue: next}}
	for i := range n {
		c := v1alpha1.OAuthClient{ObjectMeta: manyMembers()}
		c.Name = fmt.Sprint(first + i)
		list.Items = append(list.Items, c)
	}
	return list
}

func TestAllPagesAreReadAndTrimmed(t *testing.T) {
	var asked []metav1.ListOptions
	all, err := listPages(metav1.ListOptions{ResourceVersion: "0", LabelSelector: "a=b"}, func(o metav1.ListOptions) (runtime.Object, error) {
		asked = append(asked, o)
		switch o.Continue {
		case "":
			return clientsOf(0, pageSize, "second"), nil
		case "second":
			return clientsOf(pageSize, 3, ""), nil
		}
		return nil, fmt.Errorf("continue: %q", o.Continue)
	})
	if err != nil || len(asked) != 2 {
		t.Fatalf("%d requests, %v", len(asked), err)
	}
	for _, o := range asked { // with a version, the API server would ignore the limit, or answer from a while ago
		if o.Limit != pageSize || o.ResourceVersion != "" || o.LabelSelector != "a=b" {
			t.Errorf("%+v", o)
		}
	}
	items, err := meta.ExtractList(all)
	if err != nil || len(items) != pageSize+3 {
		t.Fatalf("%d objects, %v", len(items), err)
	}
	for i, item := range items {
		if c := item.(*v1alpha1.OAuthClient); c.Name != fmt.Sprint(i) || c.ManagedFields != nil || c.Annotations != nil {
			t.Fatalf("%d: %+v", i, c)
		}
	}
	if listed, err := meta.ListAccessor(all); err != nil || listed.GetResourceVersion() != "42" || listed.GetContinue() != "" {
		t.Errorf("%+v, %v", listed, err)
	}
}

// A list that takes longer than the API server remembers is read as a whole, and nothing is in it twice.
func TestListThatHasExpiredIsReadAtOnce(t *testing.T) {
	all, err := listPages(metav1.ListOptions{}, func(o metav1.ListOptions) (runtime.Object, error) {
		switch {
		case o.Continue != "":
			return nil, apierrors.NewResourceExpired("too old")
		case o.Limit == 0:
			return clientsOf(0, 7, ""), nil
		}
		return clientsOf(0, 2, "second"), nil
	})
	if err != nil || meta.LenList(all) != 7 {
		t.Errorf("%d objects, %v", meta.LenList(all), err)
	}
	broken := errors.New("broken")
	if _, err := listPages(metav1.ListOptions{}, func(metav1.ListOptions) (runtime.Object, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a failure became %v", err)
	}
}
