package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the server's Prometheus metrics. Their labels are bounded: nothing that a caller sends becomes one.
type Metrics struct {
	requests *prometheus.HistogramVec
	writes   *prometheus.CounterVec
	usage    *prometheus.CounterVec
	leftOut  prometheus.Counter
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "latchkey_request_duration_seconds",
			Help:    "Time to answer a request, by endpoint and status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint", "status"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_store_writes_total",
			Help: "Writes to the store of grants, by verb.",
		}, []string{"verb"}),
		usage: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_secret_usage_writes_total",
			Help: "Writes of status.secretUsage of OAuthClients, by result.",
		}, []string{"result"}),
		leftOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "latchkey_log_lines_left_out_total",
			Help: "Lines that were left out of the log, because strangers caused too many of them.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.writes, m.usage, m.leftOut} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// StoreWrite counts a write to the store.
func (m *Metrics) StoreWrite(verb string) { m.writes.WithLabelValues(verb).Inc() }

// SecretUsageWrite counts a write of when client secrets were used.
func (m *Metrics) SecretUsageWrite(result string) { m.usage.WithLabelValues(result).Inc() }

// LogLineLeftOut counts a line that was left out of the log.
func (m *Metrics) LogLineLeftOut() { m.leftOut.Inc() }

func (m *Metrics) observe(endpoint string, status int, took time.Duration) {
	if endpoint == "" {
		endpoint = "none"
	}
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Observe(took.Seconds())
}
