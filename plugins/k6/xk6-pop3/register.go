//go:build k6

// Package pop3 puts k6/x/pop3 into k6: a connection for POP3, as plugins of pop-connectivity use it (index.d.ts).
package pop3

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/v2/js/modules"
	"go.k6.io/k6/v2/lib"
	"go.k6.io/k6/v2/lib/netext"
	"go.k6.io/k6/v2/metrics"

	"github.com/pop-connectivity/xk6-pop3/link"
	"github.com/pop-connectivity/xk6-pop3/script"
)

func init() { modules.Register("k6/x/pop3", new(rootModule)) }

type rootModule struct{}

// NewModuleInstance is called in the init context, once for each VU: metrics can be made nowhere else.
func (*rootModule) NewModuleInstance(vu modules.VU) modules.Instance {
	registry := vu.InitEnv().Registry
	trend := func(name script.Metric) *metrics.Metric {
		return registry.MustNewMetric(string(name), metrics.Trend, metrics.Time)
	}
	return &instance{script.New(&host{vu, map[script.Metric]*metrics.Metric{
		script.Connecting:  trend(script.Connecting),
		script.Handshaking: trend(script.Handshaking),
		script.Duration:    trend(script.Duration),
		script.Sockets:     registry.MustNewMetric(string(script.Sockets), metrics.Counter),
	}})}
}

type instance struct{ module *script.Module }

func (i *instance) Exports() modules.Exports { return modules.Exports{Named: i.module.Exports()} }

// host is a VU of k6 as the module wants it.
type host struct {
	vu      modules.VU
	metrics map[script.Metric]*metrics.Metric
}

func (h *host) Runtime() *sobek.Runtime { return h.vu.Runtime() }

func (h *host) RegisterCallback() func(func() error) { return h.vu.RegisterCallback() }

func (h *host) VU() *script.VU {
	state := h.vu.State()
	if state == nil {
		return nil
	}
	ctx, current := h.vu.Context(), state.Tags.GetCurrentValues()
	return &script.VU{
		Context: ctx,
		Dial: func(bounded context.Context, network, address string) (net.Conn, error) {
			conn, err := state.Dialer.DialContext(bounded, network, address)
			if err != nil {
				return nil, meant(err)
			}
			return counted{conn}, nil
		},
		Resolve: func(name string, port int) (net.IP, error) { return resolve(state, name, port) },
		TLS:     state.TLSConfig,
		Measure: func(metric script.Metric, tags map[string]string, value float64) {
			series := metrics.TimeSeries{
				Metric: h.metrics[metric], Tags: current.Tags.WithTagsFromMap(tags).With("proto", "POP3"),
			}
			metrics.PushIfNotDone(ctx, state.Samples, metrics.Sample{
				TimeSeries: series, Time: time.Now(), Metadata: current.Metadata, Value: value,
			})
		},
	}
}

func resolve(state *lib.State, name string, port int) (net.IP, error) {
	resolver := state.GetAddrResolver()
	if resolver == nil {
		return nil, link.Fail(link.DNS)
	}
	// An entry of the option `hosts` may be for a port alone.
	if port != 0 {
		name = net.JoinHostPort(name, strconv.Itoa(port))
	}
	ip, _, err := resolver.ResolveAddr(name)
	if err != nil {
		return nil, meant(err)
	}
	return ip, nil
}

// meant gives k6's own errors their codes.
func meant(err error) error {
	var byAddress netext.BlackListedIPError
	var byName netext.BlockedHostError
	switch {
	case errors.As(err, &byAddress), errors.As(err, &byName):
		return link.Fail(link.Blocked)
	case strings.HasSuffix(err.Error(), ": no such host"): // k6's dialer makes this one without a type
		return link.Fail(link.NotFound)
	}
	return err
}

// counted shows what is under k6's connection, which counts octets.
type counted struct{ net.Conn }

func (c counted) Unwrap() net.Conn {
	if counting, is := c.Conn.(*netext.Conn); is {
		return counting.Conn
	}
	return c.Conn
}
