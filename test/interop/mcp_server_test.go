package interop

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const (
	toolScope    = "tools.use"
	metadataPath = "/.well-known/oauth-protected-resource/mcp"
)

// serveMCP serves an MCP server with one tool, as the Go SDK protects it: RFC 9728 metadata names the authorization server,
// and calls need a token of it.
func serveMCP(ctx context.Context) (*httptest.Server, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, direct), live.Issuer)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	tools := mcp.NewServer(&mcp.Implementation{Name: "clerk", Version: "1"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "whoami"}, whoami)
	protected := auth.RequireBearerToken(verifier(provider, server.URL+"/mcp"), &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: server.URL + metadataPath, Scopes: []string{toolScope},
	})
	mux.Handle("/mcp", protected(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil)))
	mux.Handle(metadataPath, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: server.URL + "/mcp", AuthorizationServers: []string{live.Issuer}, ScopesSupported: []string{toolScope},
	}))
	return server, nil
}

// whoami is the tool: it says who calls.
func whoami(_ context.Context, request *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	info := request.Extra.TokenInfo
	if info == nil {
		return nil, nil, auth.ErrInvalidToken
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: info.UserID}}}, nil, nil
}

// verifier accepts access tokens for the MCP server alone.
func verifier(provider *oidc.Provider, identifier string) auth.TokenVerifier {
	return func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		verified, err := provider.VerifierContext(oidc.ClientContext(ctx, direct), &oidc.Config{ClientID: identifier}).Verify(ctx, token)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		var claims struct{ Scope string }
		if err := verified.Claims(&claims); err != nil {
			return nil, err
		}
		return &auth.TokenInfo{Scopes: strings.Fields(claims.Scope), Expiration: verified.Expiry, UserID: verified.Subject}, nil
	}
}
