package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

const (
	toolScope    = "tools.use"
	metadataPath = "/.well-known/oauth-protected-resource/mcp"
)

// mcpServer is an MCP server with one tool, as the Go SDK protects it: RFC 9728 metadata names the authorization server, and
// calls need a token of it.
func mcpServer(address string) (http.Handler, error) {
	tools := mcp.NewServer(&mcp.Implementation{Name: "clerk", Version: "1"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "whoami"}, whoami)
	protected := auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: address + metadataPath, Scopes: []string{toolScope},
	})
	mux := http.NewServeMux()
	mux.Handle("/mcp", protected(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil)))
	mux.Handle(metadataPath, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: address + "/mcp", AuthorizationServers: []string{live.Issuer}, ScopesSupported: []string{toolScope},
	}))
	return mux, nil
}

// whoami is the tool: it says who calls.
func whoami(_ context.Context, request *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	info := request.Extra.TokenInfo
	if info == nil {
		return nil, nil, auth.ErrInvalidToken
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: info.UserID}}}, nil, nil
}

// verify asks Latchkey what a token is worth (RFC 7662), as the SDK's own example does.
func verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	clerk, err := read(ctx, "clerk")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, clerk.Issuer+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(clerk.ID, clerk.Secret)
	response, err := direct.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("introspection is answered with %s", response.Status)
	}
	var answer struct {
		Active  bool
		Scope   string
		Subject string `json:"sub"`
		Expiry  int64  `json:"exp"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if !answer.Active {
		return nil, auth.ErrInvalidToken
	}
	return &auth.TokenInfo{Scopes: strings.Fields(answer.Scope), Expiration: time.Unix(answer.Expiry, 0), UserID: answer.Subject}, nil
}
