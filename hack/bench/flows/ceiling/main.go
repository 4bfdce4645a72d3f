// Command ceiling serves the least that a code flow takes, for `make bench` to compare with.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/valkey-io/valkey-go"

	"github.com/latchkey-io/latchkey/hack/bench/flows"
)

func main() {
	site := flag.String("site", "", "the flows.Site to serve, as JSON")
	sizes := flag.String("sizes", "", "the flows.Sizes of what is handed out, as JSON")
	valkeyAddress := flag.String("valkey", "", "host:port of a server of Valkey that codes are spent at, each by one SET NX; in memory when empty")
	flag.Parse()
	if err := serve(*site, *sizes, *valkeyAddress); err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		os.Exit(1)
	}
}

func serve(siteJSON, sizesJSON, valkeyAddress string) error {
	var (
		site  flows.Site
		sizes flows.Sizes
	)
	if err := json.Unmarshal([]byte(siteJSON), &site); err != nil {
		return fmt.Errorf("-site: %w", err)
	}
	if err := json.Unmarshal([]byte(sizesJSON), &sizes); err != nil {
		return fmt.Errorf("-sizes: %w", err)
	}
	spend := inMemory()
	if valkeyAddress != "" {
		client, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{valkeyAddress}, DisableCache: true})
		if err != nil {
			return err
		}
		defer client.Close()
		spend = inValkey(client)
	}
	handler, err := flows.NewCeiling(&site, sizes, spend)
	if err != nil {
		return err
	}
	return (&http.Server{Addr: site.Address, Handler: handler}).ListenAndServe()
}

func inMemory() flows.SpendFunc {
	var spent sync.Map
	return func(_ context.Context, id string) (bool, error) {
		_, before := spent.LoadOrStore(id, struct{}{})
		return !before, nil
	}
}

// lifetime is for how many seconds a code is remembered.
const lifetime = 600

func inValkey(client valkey.Client) flows.SpendFunc {
	return func(ctx context.Context, id string) (bool, error) {
		err := client.Do(ctx, client.B().Set().Key(id).Value("1").Nx().ExSeconds(lifetime).Build()).Error()
		if valkey.IsValkeyNil(err) {
			return false, nil
		}
		return err == nil, err
	}
}
