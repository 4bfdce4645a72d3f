package storage

import (
	"context"

	"github.com/latchkey-io/latchkey/server/store/valkey"
)

// Use opens the place that the data of a Secret names, for as long as f takes.
func Use(secret map[string][]byte, f func(*valkey.Store) error) error {
	config, err := valkey.ParseSecret(secret)
	if err != nil {
		return err
	}
	s, err := valkey.New(config)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Connect(); err != nil {
		return err
	}
	return f(s)
}

// Check says what is wrong with the place that the data of a Secret names, if anything.
func Check(ctx context.Context, secret map[string][]byte) error {
	return Use(secret, func(s *valkey.Store) error { return s.Check(ctx) })
}

// Purge deletes the grants of a client in the place that the data of a Secret names.
func Purge(ctx context.Context, secret map[string][]byte, clientUID string) error {
	return Use(secret, func(s *valkey.Store) error { return s.Purge(ctx, clientUID) })
}
