package kubernetes_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/latchkey-io/latchkey/server/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		namespace := newNamespace(t)
		a, b := newReplica(t, cluster, namespace, nil, nil), newReplica(t, cluster, namespace, nil, nil)
		return storetest.Harness{Grants: a, Replica: b, Delete: func(ctx context.Context, id string) error {
			if _, _, err := cluster.Kubectl(ctx, "delete", "oauthgrant", "--namespace="+namespace, id); err != nil {
				return err
			}
			return wait.PollUntilContextCancel(ctx, poll, true, func(context.Context) (bool, error) {
				return a.SawDeleted(id) && b.SawDeleted(id), nil
			})
		}}
	})
}
