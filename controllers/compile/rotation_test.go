package compile

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/api/v1alpha1"
)

func TestSecretRotation(t *testing.T) {
	type declared = v1alpha1.SecretRotation
	length := func(d v1alpha1.Duration) *v1alpha1.Duration { return &d }
	for name, tc := range map[string]struct {
		source            v1alpha1.SecretSource
		rotation          *declared
		interval, overlap time.Duration
	}{
		"nothing":               {v1alpha1.SecretGenerated, nil, 0, 24 * time.Hour},
		"overlap":               {v1alpha1.SecretGenerated, &declared{Overlap: length("1h")}, 0, time.Hour},
		"long interval":         {v1alpha1.SecretGenerated, &declared{Interval: length("720h")}, 720 * time.Hour, 24 * time.Hour},
		"short interval":        {v1alpha1.SecretGenerated, &declared{Interval: length("1h")}, time.Hour, time.Hour},
		"both":                  {v1alpha1.SecretGenerated, &declared{Interval: length("1h"), Overlap: length("10m")}, time.Hour, 10 * time.Minute},
		"brought":               {v1alpha1.SecretExisting, nil, 0, 0},
		"brought, with overlap": {v1alpha1.SecretExisting, &declared{Overlap: length("1h")}, 0, time.Hour},
	} {
		interval, overlap := SecretRotation(&v1alpha1.ClientSecret{Source: tc.source, Rotation: tc.rotation})
		if interval != tc.interval || overlap != tc.overlap {
			t.Errorf("%s: %v, %v", name, interval, overlap)
		}
	}
}

// The servers need no controller to honour a revocation.
func TestRevokedSecretIsNotCompiled(t *testing.T) {
	digest := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	m := newMemory(t)
	c := m.client(t, "shop", "storefront", basic)
	c.Spec.Authentication.ClientSecret.Revoked = []v1alpha1.ClientSecretID{"aaaaaaaaaaaaaaaa", "cccccccccccccccc"}
	c.Status.Secrets = []v1alpha1.ClientSecretStatus{{ID: "aaaaaaaaaaaaaaaa", Digest: digest}, {ID: "bbbbbbbbbbbbbbbb", Digest: digest}}
	_, client, problems := OAuthClient(m, c)
	if client == nil || len(problems) > 0 || len(client.Secrets) != 1 || client.Secrets[0].ID != "bbbbbbbbbbbbbbbb" {
		t.Errorf("%+v %v", client, problems)
	}
}
