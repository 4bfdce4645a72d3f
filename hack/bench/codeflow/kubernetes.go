package codeflow

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/hack/bench/generator"
	"github.com/latchkey-io/latchkey/hack/bench/pinned"
	"github.com/latchkey-io/latchkey/hack/bench/rounds"
	"github.com/latchkey-io/latchkey/hack/bench/site"
	"github.com/latchkey-io/latchkey/server/token"
)

// inKubernetes compares with a bare loop that creates the same objects at the same kube-apiserver, as many at a time. What is measured,
// and has a core, is kube-apiserver with its etcd.
func (b *bench) inKubernetes(ctx context.Context) (err error) {
	if err := pinned.Children(pinned.MeasuredCore, "etcd", "kube-apiserver"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pinned.Children(pinned.OtherCore, "etcd", "kube-apiserver")) }()
	server, s, cookies, err := b.serve(ctx, "kubernetes", "default", pinned.OtherCore)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	grant, err := b.oneGrant(ctx)
	if err != nil {
		return err
	}
	standings, err := b.profiled(ctx, server, "flow-kubernetes", []rounds.Contestant{
		{Name: "bare loop of creations", Dial: func(context.Context) (generator.Caller, error) { return &creator{b.AsServer, grant}, nil }},
		{Name: "Latchkey", Dial: s.Dialer(cookies, rounds.Connections)},
	})
	if err != nil {
		return err
	}
	b.noteStandings("code flow, Kubernetes", storeTarget, standings)
	b.Comparisons = append(b.Comparisons, rounds.Comparison("code flow, grants in Kubernetes", storeTarget, standings))
	return nil
}

// oneGrant is one that came of a flow.
func (b *bench) oneGrant(ctx context.Context) (*v1alpha1.OAuthGrant, error) {
	var grants v1alpha1.OAuthGrantList
	if err := b.Admin.List(ctx, &grants, client.InNamespace(site.OperatorNamespace)); err != nil {
		return nil, err
	}
	for i := range grants.Items {
		if strings.HasPrefix(grants.Items[i].Spec.User.Name, "user-") {
			return &grants.Items[i], nil
		}
	}
	return nil, errors.New("no flow made a grant")
}

// creator creates grants like one that there is, but for the user's UID: one user may not have as many.
type creator struct {
	client client.Client
	like   *v1alpha1.OAuthGrant
}

// Call implements generator.Caller.
func (c *creator) Call(int) error {
	g := &v1alpha1.OAuthGrant{ObjectMeta: metav1.ObjectMeta{Namespace: c.like.Namespace, Name: token.NewID()}, Spec: *c.like.Spec.DeepCopy()}
	g.Spec.Attempt, g.Spec.User.UID = token.NewID(), string(uuid.NewUUID())
	if err := c.client.Create(context.Background(), g, client.FieldOwner("latchkey-server")); err != nil {
		return fmt.Errorf("create a grant: %w", err)
	}
	return nil
}

// Close implements generator.Caller. The connection is the client's.
func (c *creator) Close() error { return nil }
