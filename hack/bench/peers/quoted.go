package peers

// Work is a kind of work that is compared.
type Work string

// The kinds of work.
const (
	ClientCredentialsES256 Work = "client_credentials ES256"
	ClientCredentialsRS256 Work = "client_credentials RS256"
	Introspection          Work = "introspection of a JWT"
	CodeFlow               Work = "code flow with PKCE"
)

// QuotedIn is when what Quoted tells was measured: in one paired run, as `make bench` measures, each with the version that was current.
const QuotedIn = "2026-11"

// Figure is what a server made of a kind of work.
type Figure struct {
	Server string
	Work   Work
	// Ratio is its rate in proportion to the ceiling of the same run.
	Ratio float64
	// Remark says what was different; empty when nothing was.
	Remark string
}

// Quoted are servers that no package registry carries, or that are not started here for other reasons.
func Quoted() []Figure {
	return []Figure{
		{"luikyv/go-oidc", ClientCredentialsES256, 0.62, "clients in a map"},
		{"Dex", ClientCredentialsES256, 0.43, ""},
		{"Ory Hydra", ClientCredentialsES256, 0.01, ""},
		{"zitadel/oidc, go-oidc, Dex", ClientCredentialsRS256, 1.2, "1.1 to 1.3"},
		{"luikyv/go-oidc", Introspection, 0.57, ""},
		{"Dex", Introspection, 0.54, "RS256"},
		{"luikyv/go-oidc", CodeFlow, 0.52, ""},
		{"Dex", CodeFlow, 0.23, ""},
		{"zitadel/oidc", CodeFlow, 0.10, ""},
		{"Ory Hydra", CodeFlow, 0.006, ""},
	}
}
