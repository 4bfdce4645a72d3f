package interop

import "github.com/latchkey-io/latchkey/hack/npm"

// node is the Node that runs the clients of npm.
func node() string { return npm.Node(".") }
