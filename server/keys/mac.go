package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// mac computes HMAC-SHA-256 under one key. What depends on the key alone is computed once and used again.
type mac struct {
	free sync.Pool // of *keyed
}

// keyed is what one computation at a time uses.
type keyed struct {
	hash         hash.Hash
	message, sum []byte
}

func newMAC(key []byte) *mac {
	return &mac{sync.Pool{New: func() any { return &keyed{hash: hmac.New(sha256.New, key)} }}}
}

// of is the HMAC of the message that is appended to what it is given.
func (m *mac) of(message func([]byte) []byte) [sha256.Size]byte {
	k := m.free.Get().(*keyed)
	defer m.free.Put(k)
	k.hash.Reset()
	k.message = message(k.message[:0])
	k.hash.Write(k.message)
	clear(k.message) // it may hold a secret
	k.sum = k.hash.Sum(k.sum[:0])
	return [sha256.Size]byte(k.sum)
}

// ofFields is the HMAC of the fields.
func (m *mac) ofFields(fields ...string) [sha256.Size]byte {
	return m.of(func(b []byte) []byte {
		for _, f := range fields {
			b = appendField(b, f)
		}
		return b
	})
}

// appendField appends a string with its length before it, so that no two lists of fields give the same bytes.
func appendField[S string | []byte](b []byte, field S) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}
