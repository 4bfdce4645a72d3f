package registry

import "context"

// Storage is a place, beside the one that the server has otherwise, where an issuer's grants are kept.
type Storage struct {
	// Key tells places apart: another where anything about it differs.
	Key string
	// Data is that of the Secret that says how it is reached; nil when there is none. It is not to be logged.
	Data map[string][]byte
}

type issuerKey struct{}

// In is the context of what is done for an issuer: by it the place is found where the issuer's grants are kept.
func In(ctx context.Context, iss *Issuer) context.Context {
	return context.WithValue(ctx, issuerKey{}, iss)
}

// Of is the issuer for which something is done, nil when the context is that of none.
func Of(ctx context.Context) *Issuer {
	iss, _ := ctx.Value(issuerKey{}).(*Issuer)
	return iss
}
