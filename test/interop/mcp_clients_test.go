package interop

import (
	"context"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/auth/extauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// TestGoMCPClient calls a tool with the Go SDK of the Model Context Protocol, which finds its way to Latchkey from the MCP
// server's answer to a call without a token.
func TestGoMCPClient(t *testing.T) {
	t.Run("code", func(t *testing.T) {
		c := find(t, "assistant")
		handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
			PreregisteredClient: &oauthex.ClientCredentials{ClientID: c.ID, Issuer: c.Issuer},
			RedirectURL:         c.RedirectURI,
			RequestRefreshToken: true, // by offline_access, which the metadata has and the OAuthClient does not declare
			Client:              direct,
			AuthorizationCodeFetcher: func(_ context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
				back := query(t, dora(t).allows(t, args.URL))
				return &auth.AuthorizationResult{Code: back.Get("code"), State: back.Get("state"), Iss: back.Get("iss")}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		asksWhoIAm(t, handler)
	})
	t.Run("client credentials", func(t *testing.T) {
		c := find(t, "robot")
		handler, err := extauth.NewClientCredentialsHandler(&extauth.ClientCredentialsHandlerConfig{
			Credentials: &oauthex.ClientCredentials{
				ClientID: c.ID, Issuer: c.Issuer, ClientSecretAuth: &oauthex.ClientSecretAuth{ClientSecret: c.Secret},
			},
			HTTPClient: direct,
		})
		if err != nil {
			t.Fatal(err)
		}
		asksWhoIAm(t, handler)
	})
}

// asksWhoIAm connects to the MCP server and calls its tool.
func asksWhoIAm(t *testing.T, handler auth.OAuthHandler) {
	t.Helper()
	find(t, "clerk") // who serves it
	session, err := mcp.NewClient(&mcp.Implementation{Name: "assistant", Version: "1"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: apps.mcp.URL + "/mcp", HTTPClient: direct, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := answer.Content[0].(*mcp.TextContent); answer.IsError || !ok || text.Text == "" {
		t.Errorf("the tool says %+v", answer)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// TestTypeScriptMCPClient does the same with the TypeScript SDK.
func TestTypeScriptMCPClient(t *testing.T) {
	scenarios := map[string]string{
		"code": "assistant", "refresh": "assistant", "client_credentials": "robot", "client_credentials_with_private_key_jwt": "signer",
	}
	for scenario, name := range scenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			find(t, "clerk")
			c := find(t, name)
			c.Resource = apps.mcp.URL + "/mcp"
			if got := script[struct{ Caller string }](t, "mcp-sdk.mjs", scenario, c); got.Caller == "" {
				t.Error("the tool does not say who called")
			}
		})
	}
}
