package publish

import (
	"fmt"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

// packed is an OAuthClient as the cache keeps it: encoded. There may be 100,000 of them, and each would be some twenty objects in memory,
// all of which every collection of garbage looks at; and they are read when they are compiled only.
type packed struct {
	// namespace, name and resourceVersion are what stores and informers ask for.
	namespace, name, resourceVersion string
	encoded                          string
}

// pack encodes a client. What is asked for often stands together with the rest in memory.
func pack(c *v1alpha1.OAuthClient) (*packed, error) {
	// What is not there is left out, and nothing else: a member without members is there.
	encoded, err := json.Marshal(c, json.OmitZeroStructFields(true), jsonv1.OmitEmptyWithLegacySemantics(true))
	if err != nil {
		return nil, fmt.Errorf("encode OAuthClient %s/%s: %w", c.Namespace, c.Name, err)
	}
	text := c.Name + c.ResourceVersion + string(encoded)
	name, version := len(c.Name), len(c.ResourceVersion)
	return &packed{shared(c.Namespace), text[:name], text[name : name+version], text[name+version:]}, nil
}

// unpack decodes the client.
func (p *packed) unpack() (*v1alpha1.OAuthClient, error) {
	c := &v1alpha1.OAuthClient{}
	if err := json.Unmarshal([]byte(p.encoded), c); err != nil {
		return nil, fmt.Errorf("decode OAuthClient %s/%s: %w", p.namespace, p.name, err)
	}
	share(c)
	return c, nil
}

// GetObjectKind implements runtime.Object.
func (*packed) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. Nothing in it ever changes.
func (p *packed) DeepCopyObject() runtime.Object { return p }

// GetObjectMeta implements metav1.ObjectMetaAccessor, as far as stores and informers ask.
func (p *packed) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, ResourceVersion: p.resourceVersion}
}
