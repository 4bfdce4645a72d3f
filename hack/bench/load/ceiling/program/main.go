// Command program serves the least that requests take, for `make bench PARTS=load` to compare with.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/latchkey-io/latchkey/hack/bench/load/ceiling"
)

func main() {
	text := flag.String("config", "", "the ceiling.Config, as JSON")
	flag.Parse()
	var c ceiling.Config
	err := json.Unmarshal([]byte(*text), &c)
	if err == nil {
		err = ceiling.Serve(&c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ceiling:", err)
		os.Exit(1)
	}
}
