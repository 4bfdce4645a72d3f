package size

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"

	clientset "k8s.io/client-go/kubernetes"
)

// requestTotal is a line of kube-apiserver's metrics.
var requestTotal = regexp.MustCompile(`^apiserver_request_total\{.*resource="([^"]*)".*subresource="([^"]*)".*verb="([^"]*)".*\} (\S+)$`)

// requests asks the API server how many requests it has served.
func (b *bench) requests(ctx context.Context) (requests, error) {
	kube, err := clientset.NewForConfig(b.Config)
	if err != nil {
		return nil, err
	}
	text, err := kube.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver's metrics: %w", err)
	}
	out := requests{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		found := requestTotal.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		n, err := strconv.ParseFloat(found[4], 64)
		if err != nil {
			return nil, err
		}
		name := found[3] + " " + found[1]
		if found[2] != "" {
			name += "/" + found[2]
		}
		out[name] += n
	}
	return out, lines.Err()
}
