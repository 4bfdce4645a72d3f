package kubernetes

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
	"github.com/latchkey-io/latchkey/server/store"
)

// deviceEntry is a device authorization as some version of its object says. It never changes.
type deviceEntry struct {
	device  *store.Device
	uid     types.UID
	version string
}

func newDeviceEntry(o *v1alpha1.OAuthDeviceAuthorization) *deviceEntry {
	d := &store.Device{
		Name:                o.Name,
		ID:                  o.Spec.ID,
		AuthorizationServer: o.Spec.AuthorizationServerName,
		ClientID:            o.Spec.ClientID,
		ClientUID:           o.Spec.ClientUID,
		Scopes:              o.Spec.Scopes,
		Targets:             targetsOf(o.Spec.Resources),
		Source:              o.Spec.Source,
		ExpiresAt:           o.Spec.ExpiresAt.Time,
	}
	if st := &o.Status; st.Decision != "" {
		d.Decision = &store.Decision{
			Approved:          st.Decision == v1alpha1.DeviceApproved,
			SessionID:         st.SessionID,
			CredentialVersion: st.CredentialVersion,
			Scopes:            st.Scopes,
			Targets:           targetsOf(st.Resources),
		}
		if st.DecidedAt != nil {
			d.Decision.At = st.DecidedAt.Time
		}
		if st.AuthTime != nil {
			d.Decision.AuthTime = st.AuthTime.Time
		}
		if st.User != nil {
			d.Decision.User, d.Decision.UserUID = st.User.Name, st.User.UID
		}
	}
	return &deviceEntry{device: d, uid: o.UID, version: o.ResourceVersion}
}

func targetsOf(resources []v1alpha1.GrantResource) []store.Target {
	var targets []store.Target
	for _, r := range resources {
		targets = append(targets, store.Target{Resource: r.Identifier, Scopes: r.Scopes})
	}
	return targets
}

func resourcesOf(targets []store.Target) []v1alpha1.GrantResource {
	var resources []v1alpha1.GrantResource
	for _, t := range targets {
		resources = append(resources, v1alpha1.GrantResource{Identifier: t.Resource, Scopes: slices.Clone(t.Scopes)})
	}
	return resources
}

// newDeviceObject is the object for a device authorization. It shares nothing with it: the API server's answer is read into
// the same object, and kept.
func newDeviceObject(namespace string, d *store.Device) *v1alpha1.OAuthDeviceAuthorization {
	return &v1alpha1.OAuthDeviceAuthorization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: d.Name},
		Spec: v1alpha1.OAuthDeviceAuthorizationSpec{
			AuthorizationServerName: d.AuthorizationServer,
			ClientID:                d.ClientID,
			ClientUID:               d.ClientUID,
			ID:                      d.ID,
			Scopes:                  slices.Clone(d.Scopes),
			Resources:               resourcesOf(d.Targets),
			Source:                  d.Source,
			ExpiresAt:               metav1.NewTime(d.ExpiresAt),
		},
	}
}

func newDeviceStatus(d *store.Decision) v1alpha1.OAuthDeviceAuthorizationStatus {
	at, authTime := metav1.NewTime(d.At), metav1.NewTime(d.AuthTime)
	status := v1alpha1.OAuthDeviceAuthorizationStatus{
		Decision:          v1alpha1.DeviceDenied,
		DecidedAt:         &at,
		User:              &v1alpha1.GrantUser{Name: d.User, UID: d.UserUID},
		SessionID:         d.SessionID,
		CredentialVersion: d.CredentialVersion,
		AuthTime:          &authTime,
		Scopes:            d.Scopes,
		Resources:         resourcesOf(d.Targets),
	}
	if d.Approved {
		status.Decision = v1alpha1.DeviceApproved
	}
	return status
}

// deviceIndex is what the watch told of the device authorizations, and what we wrote ourselves: see index, whose rules it
// shares. An entry is replaced by a newer version only, and a name is brought back only by a version newer than its deletion.
type deviceIndex struct {
	now     func() time.Time
	entries sync.Map // name → *deviceEntry
	synced  atomic.Bool
	heard   atomic.Int64 // when the watch was last alive, in Unix seconds

	mu      sync.Mutex // serializes writers
	burials burials
}

func newDeviceIndex(now func() time.Time) *deviceIndex {
	return &deviceIndex{now: now, burials: newBurials(maxRemembered)}
}

// get returns the entry of the name, or nil.
func (x *deviceIndex) get(name string) *deviceEntry {
	if e, ok := x.entries.Load(name); ok {
		return e.(*deviceEntry)
	}
	return nil
}

// pending counts those of the client that wait for a user.
func (x *deviceIndex) pending(clientUID string, now time.Time) (n int) {
	x.entries.Range(func(_, e any) bool {
		if d := e.(*deviceEntry).device; d.ClientUID == clientUID && d.Waiting(now) {
			n++
		}
		return true
	})
	return n
}

// buried says whether the name was deleted a short while ago.
func (x *deviceIndex) buried(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, ok := x.burials.get(name, x.now())
	return ok
}

// put adds or replaces an entry unless something newer is known.
func (x *deviceIndex) put(e *deviceEntry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.putLocked(e)
}

func (x *deviceIndex) putLocked(e *deviceEntry) {
	if old := x.get(e.device.Name); old != nil && !newer(e.version, old.version) {
		return
	}
	if deleted, ok := x.burials.get(e.device.Name, x.now()); ok && !newer(e.version, deleted) {
		return
	}
	x.entries.Store(e.device.Name, e)
}

// removeLocked takes an entry away that was gone at the version. One that has expired need not be remembered: so a sweep of many leaves no
// trace.
func (x *deviceIndex) removeLocked(e *deviceEntry, version string) {
	if old := x.get(e.device.Name); old != nil && newer(old.version, version) {
		return
	}
	x.entries.Delete(e.device.Name)
	if now := x.now(); now.Before(e.device.ExpiresAt) {
		x.burials.add(e.device.Name, version, now)
	}
}

// Add implements cache.ReflectorStore.
func (x *deviceIndex) Add(object any) error {
	o, err := asDevice(object)
	if err != nil {
		return err
	}
	x.put(newDeviceEntry(o))
	return nil
}

// Update implements cache.ReflectorStore.
func (x *deviceIndex) Update(object any) error { return x.Add(object) }

// Delete implements cache.ReflectorStore. The object has the version of its deletion.
func (x *deviceIndex) Delete(object any) error {
	o, err := asDevice(object)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.removeLocked(newDeviceEntry(o), o.ResourceVersion)
	return nil
}

// Replace implements cache.ReflectorStore: list is what there was at the version. What is not in it was deleted while nobody
// watched, unless it is newer than the list.
func (x *deviceIndex) Replace(list []any, version string) error {
	entries := make(map[string]*deviceEntry, len(list))
	for _, object := range list {
		o, err := asDevice(object)
		if err != nil {
			return err
		}
		entries[o.Name] = newDeviceEntry(o)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.entries.Range(func(name, e any) bool {
		if entries[name.(string)] == nil {
			x.removeLocked(e.(*deviceEntry), version)
		}
		return true
	})
	for _, e := range entries {
		x.putLocked(e)
	}
	x.touch()
	x.synced.Store(true)
	return nil
}

// Resync implements cache.ReflectorStore; there is nothing to do.
func (x *deviceIndex) Resync() error { return nil }

// UpdateResourceVersion implements cache.ResourceVersionUpdater: it is called for each event, bookmarks included.
func (x *deviceIndex) UpdateResourceVersion(string) { x.touch() }

func (x *deviceIndex) touch() { x.heard.Store(x.now().Unix()) }

func (x *deviceIndex) current() bool {
	return x.synced.Load() && x.now().Unix()-x.heard.Load() < int64(maxSilence/time.Second)
}

func asDevice(object any) (*v1alpha1.OAuthDeviceAuthorization, error) {
	o, ok := object.(*v1alpha1.OAuthDeviceAuthorization)
	if !ok {
		return nil, fmt.Errorf("store/kubernetes: the watch brought a %T", object)
	}
	if o.Name == "" {
		return nil, errors.New("store/kubernetes: the watch brought a device authorization without a name")
	}
	return o, nil
}
