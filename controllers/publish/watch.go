package publish

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/controllers/compile"
)

// source is one watched kind: what its objects stand for, and which updates matter to requests.
type source struct {
	object  client.Object
	touches func(client.Object) []dependency
	changed func(before, after client.Object) bool
}

var sources = []source{
	{&v1alpha1.AuthorizationServer{}, func(o client.Object) []dependency {
		return []dependency{{kindAuthorizationServer, "", o.GetName()}, allAuthorizationServers}
	}, generationChanged},
	{&v1alpha1.ResourceServer{}, func(o client.Object) []dependency {
		rs := o.(*v1alpha1.ResourceServer)
		return []dependency{{kindResourceServer, rs.Namespace, rs.Name}, {kindIdentifier, "", rs.Spec.Identifier}}
	}, generationChanged},
	{&v1alpha1.OAuthClient{}, func(o client.Object) []dependency {
		return []dependency{{kindOAuthClient, o.GetNamespace(), o.GetName()}}
	}, func(before, after client.Object) bool {
		return generationChanged(before, after) || !equality.Semantic.DeepEqual(
			before.(*v1alpha1.OAuthClient).Status.Secrets, after.(*v1alpha1.OAuthClient).Status.Secrets)
	}},
	{&v1alpha1.LocalUser{}, func(o client.Object) []dependency {
		u := o.(*v1alpha1.LocalUser)
		return []dependency{{kindLocalUser, "", u.Name}, {kindSubject, "", compile.EffectiveSubject(u)}}
	}, generationChanged},
	{&corev1.Namespace{}, func(o client.Object) []dependency {
		return []dependency{{kindNamespace, "", o.GetName()}, allNamespaces}
	}, func(before, after client.Object) bool { return !maps.Equal(before.GetLabels(), after.GetLabels()) }},
	{&corev1.Secret{}, func(o client.Object) []dependency {
		return []dependency{{kindSecret, "", o.GetName()}}
	}, func(before, after client.Object) bool {
		return !maps.EqualFunc(before.(*corev1.Secret).Data, after.(*corev1.Secret).Data, slices.Equal)
	}},
}

// generationChanged ignores changes of status and metadata.
func generationChanged(before, after client.Object) bool {
	return before.GetGeneration() != after.GetGeneration()
}

// watch registers for the events of every source. What it returns is done when all there was has been told.
func (p *Publisher) watch(ctx context.Context) ([]toolscache.DoneChecker, error) {
	var told []toolscache.DoneChecker
	for _, s := range sources {
		informer, err := p.config.Cache.GetInformer(ctx, s.object)
		if err != nil {
			return nil, err
		}
		r, err := informer.AddEventHandler(p.handler(s))
		if err != nil {
			return nil, err
		}
		told = append(told, r.HasSyncedChecker())
	}
	return told, nil
}

func (p *Publisher) handler(s source) toolscache.ResourceEventHandler {
	touch := func(objects ...client.Object) {
		for _, o := range objects {
			p.mark(s.touches(o)...)
		}
		p.signal()
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { touch(o.(client.Object)) },
		UpdateFunc: func(before, after any) {
			b, a := before.(client.Object), after.(client.Object)
			if s.changed(b, a) || b.GetUID() != a.GetUID() { // another UID: a deletion was missed
				touch(b, a)
			}
		},
		DeleteFunc: func(o any) {
			if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = gone.Obj
			}
			if object, ok := o.(client.Object); ok {
				touch(object)
			}
		},
	}
}
