package publish_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/registry"
)

// accepts says whether the published issuer accepts workloads of the namespace; false while there is none.
func accepts(h *registry.Holder, namespace string) bool {
	s := h.Load()
	if s == nil {
		return false
	}
	iss, ok := s.ByURL(issuerURL)
	return ok && iss.Accepts(namespace)
}

// Whose workloads an issuer accepts follows the labels of namespaces, those that are made and deleted, and its own selector.
func TestAcceptedWorkloadsFollowTheNamespaces(t *testing.T) {
	w := newWorld(t, "workloads")
	h := start(t)
	if !accepts(h, w.shop.Name) || !accepts(h, w.web.Name) || accepts(h, "kube-system") {
		t.Error("at first: not those with the label")
	}
	update(t, w.web, func(ns *corev1.Namespace) { ns.Labels = nil })
	eventually(t, "the label is gone", func() bool { return !accepts(h, w.web.Name) && accepts(h, w.shop.Name) })
	update(t, w.web, func(ns *corev1.Namespace) { ns.Labels = map[string]string{"oauth": "yes"} })
	eventually(t, "the label is back", func() bool { return accepts(h, w.web.Name) })
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "workloads-made", Labels: map[string]string{"oauth": "yes"}}}
	if err := kube.Create(context.Background(), made); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a namespace is made", func() bool { return accepts(h, made.Name) })
	update(t, w.issuer, func(as *v1alpha1.AuthorizationServer) { as.Spec.AllowedNamespaces = nil })
	eventually(t, "all are accepted", func() bool { return accepts(h, "kube-system") })
}
