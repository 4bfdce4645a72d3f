package keys

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFirstKeys(t *testing.T) {
	now := testNow().Add(999 * time.Millisecond)
	m, again := rotate(t, nil, schedule(ES256, RS256), now)
	if len(m.Signing) != 2 || len(m.Sealing) != 1 || len(m.Digest) != 32 || len(m.Salt) != 32 {
		t.Fatalf("%d signing and %d sealing keys, digest %d, salt %d bytes", len(m.Signing), len(m.Sealing), len(m.Digest), len(m.Salt))
	}
	s := newSet(t, m)
	behind := now.Add(-firstKeySkew + time.Second) // the clock of another replica
	for _, alg := range []Algorithm{ES256, RS256} {
		if _, err := s.Signer(alg, behind); err != nil {
			t.Errorf("%s on a replica whose clock is behind: %v", alg, err)
		}
	}
	if _, err := s.sealer(behind); err != nil {
		t.Errorf("sealing on a replica whose clock is behind: %v", err)
	}
	if want := testNow().Add(-firstKeySkew + 23*time.Hour); !again.Equal(want) {
		t.Errorf("asks to come again at %s, want %s", again, want)
	}
	if same, _ := rotate(t, m, schedule(ES256, RS256), now); same != m {
		t.Error("a second call makes other keys")
	}
}

// TestRotationTimetable: published ahead, used on time, kept after.
func TestRotationTimetable(t *testing.T) {
	s := schedule(ES256)
	m, again := rotate(t, nil, s, testNow())
	first := m.Signing[0]
	ahead := first.ActiveAt.Add(23 * time.Hour)
	if same, _ := rotate(t, m, s, ahead.Add(-time.Second)); same != m || !again.Equal(ahead) {
		t.Errorf("a successor before its time, or again at %s", again)
	}
	m, again = rotate(t, m, s, ahead)
	if len(m.Signing) != 2 || len(m.Sealing) != 2 {
		t.Fatalf("%d signing and %d sealing keys", len(m.Signing), len(m.Sealing))
	}
	second := m.Signing[1]
	change := first.ActiveAt.Add(24 * time.Hour)
	if !second.ActiveAt.Equal(change) || !m.Signing[0].RetiredAt.Equal(change) || !again.Equal(change) {
		t.Errorf("successor at %s, retired at %s, again at %s, want %s", second.ActiveAt, m.Signing[0].RetiredAt, again, change)
	}
	if !first.RetiredAt.IsZero() {
		t.Error("Rotate changed a key of its argument")
	}
	kept, _ := rotate(t, m, s, change.Add(s.Keep))
	if len(kept.Signing) != 2 {
		t.Error("the old key is gone while what it signed may still be good")
	}
	m, _ = rotate(t, m, s, change.Add(s.Keep+time.Second))
	if len(m.Signing) != 1 || len(m.Sealing) != 1 || m.Signing[0] != second {
		t.Errorf("%d signing and %d sealing keys after the old ones' time", len(m.Signing), len(m.Sealing))
	}
}

// TestRotationAfterAPause: a controller that was down makes the successor late, but never uses one unpublished.
func TestRotationAfterAPause(t *testing.T) {
	s := schedule(ES256)
	m, _ := rotate(t, nil, s, testNow())
	late := testNow().Add(1000 * time.Hour)
	m, _ = rotate(t, m, s, late)
	if want := late.Add(s.PublishAhead); !m.Signing[1].ActiveAt.Equal(want) || !m.Signing[0].RetiredAt.Equal(want) {
		t.Errorf("successor at %s, retired at %s, want %s", m.Signing[1].ActiveAt, m.Signing[0].RetiredAt, want)
	}
}

// TestAlwaysAKey walks through a month by the times that Rotate asks for, and finds exactly one key in use at any time.
func TestAlwaysAKey(t *testing.T) {
	s := schedule(ES256)
	now := testNow()
	m, again := rotate(t, nil, s, now)
	for steps := 0; now.Before(testNow().Add(30 * 24 * time.Hour)); steps++ {
		if !again.After(now) || steps > 1000 {
			t.Fatalf("at %s, asks to come again at %s", now, again)
		}
		set := newSet(t, m)
		for at := now; !at.After(again); at = at.Add(7 * time.Minute) {
			active := 0
			for _, k := range set.signing {
				if k.active(at) {
					active++
				}
			}
			if _, err := set.sealer(at); err != nil || active != 1 {
				t.Fatalf("at %s: %d signing keys in use; sealing: %v", at, active, err)
			}
		}
		now = again
		m, again = rotate(t, m, s, now)
		if len(m.Signing) > 3 || len(m.Sealing) > 3 {
			t.Fatalf("keys pile up: %d signing, %d sealing", len(m.Signing), len(m.Sealing))
		}
	}
}

func TestAlgorithmsChange(t *testing.T) {
	now := testNow()
	m, _ := rotate(t, nil, schedule(ES256), now)
	both, _ := rotate(t, m, schedule(ES256, RS256), now.Add(time.Minute))
	if _, err := newSet(t, both).Signer(RS256, now.Add(time.Minute)); err != nil {
		t.Errorf("an algorithm that was added: %v", err)
	}
	without, _ := rotate(t, both, schedule(RS256), now.Add(time.Hour))
	s := newSet(t, without)
	if _, err := s.Signer(ES256, now.Add(time.Hour)); err == nil {
		t.Error("an algorithm that was taken out still signs")
	}
	if _, ok := s.Verifier(m.Signing[0].KID); !ok {
		t.Error("what an algorithm signed before it was taken out is refused")
	}
	if _, _, err := without.Rotate(schedule("HS256"), now); err == nil {
		t.Error("a signing key for HS256")
	}
}

func TestMarshal(t *testing.T) {
	m, _ := rotate(t, nil, schedule(ES256, RS256), testNow())
	m, _ = rotate(t, m, schedule(ES256, RS256), testNow().Add(23*time.Hour))
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Signing) != 4 || !reflect.DeepEqual(got.Sealing, m.Sealing) || !reflect.DeepEqual(got.Digest, m.Digest) || !reflect.DeepEqual(got.Salt, m.Salt) {
		t.Errorf("got %+v", got)
	}
	if string(newSet(t, got).JWKS()) != string(newSet(t, m).JWKS()) {
		t.Error("the keys are others")
	}
	for i, k := range got.Signing {
		want := m.Signing[i]
		if k.KID != want.KID || k.Algorithm != want.Algorithm || !k.ActiveAt.Equal(want.ActiveAt) || !k.RetiredAt.Equal(want.RetiredAt) {
			t.Errorf("key %d: got %+v, want %+v", i, k, want)
		}
	}
	if same, _ := rotate(t, got, schedule(ES256, RS256), testNow().Add(23*time.Hour)); same != got {
		t.Error("what was read is rotated again")
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	m, _ := rotate(t, nil, schedule(ES256, RS256), testNow())
	data, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, bad := range map[string]string{
		"nothing":           "",
		"no JSON":           good[:len(good)-1],
		"no version":        `{}`,
		"another version":   strings.Replace(good, `"version":1`, `"version":2`, 1),
		"no PEM":            strings.Replace(good, "BEGIN PRIVATE KEY", "BEGIN PRIVATE", 1),
		"no PKCS #8":        strings.Replace(good, `-----BEGIN PRIVATE KEY-----\nM`, `-----BEGIN PRIVATE KEY-----\nN`, 1),
		"a curve's for RSA": strings.Replace(good, `"algorithm":"ES256"`, `"algorithm":"EdDSA"`, 1),
		"another algorithm": strings.Replace(good, `"algorithm":"ES256"`, `"algorithm":"RS256"`, 1),
		"unknown algorithm": strings.Replace(good, `"algorithm":"RS256"`, `"algorithm":"HS256"`, 1),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		_, err := Unmarshal([]byte(bad))
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: the error holds a key: %v", name, err)
		}
	}
}

// TestShortIntervalsDoNotFillTheSecret: whatever the lifetimes, the keys fit a Secret (1 MiB) and an AuthorizationServer's status (64).
func TestShortIntervalsDoNotFillTheSecret(t *testing.T) {
	for _, s := range []Schedule{
		{Algorithms: []Algorithm{ES256}, Interval: time.Minute, PublishAhead: 10 * time.Second, Keep: 24 * time.Hour, KeepSealing: 24 * time.Hour},
		{Algorithms: []Algorithm{ES256}, Interval: time.Minute, PublishAhead: time.Minute, Keep: 15 * time.Minute, KeepSealing: 24 * time.Hour},
	} {
		now, end := testNow(), testNow().Add(s.KeepSealing+time.Hour)
		m, again := rotate(t, nil, s, now)
		for now.Before(end) {
			now = again
			m, again = rotate(t, m, s, now)
			if len(m.Signing) > 32 {
				t.Fatalf("%d signing keys of one algorithm", len(m.Signing))
			}
		}
		data, err := m.Marshal()
		if err != nil || len(data) > 256<<10 {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	}
}

// TestRetiredKeysAreKeptForWhatTheyMade: a sealed session lives longer than a token.
func TestRetiredKeysAreKeptForWhatTheyMade(t *testing.T) {
	s := schedule(ES256)
	s.KeepSealing = 12 * time.Hour
	m, _ := rotate(t, nil, s, testNow())
	m, _ = rotate(t, m, s, testNow().Add(24*time.Hour))
	retired := m.Signing[0].RetiredAt
	m, again := rotate(t, m, s, retired.Add(s.Keep+time.Second))
	if len(m.Signing) != 1 || len(m.Sealing) != 2 || !again.Equal(retired.Add(s.KeepSealing+time.Second)) {
		t.Errorf("%d signing and %d sealing keys, again at %s", len(m.Signing), len(m.Sealing), again)
	}
	if m, _ = rotate(t, m, s, again); len(m.Sealing) != 1 {
		t.Error("the sealing key is kept for ever")
	}
}
