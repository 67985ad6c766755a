package main

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"

	"github.com/grafana/sobek"

	"github.com/pop-connectivity/xk6-pop3/script"
)

// xk6Pop3 is the transport itself, in what k6 would give it.
func (vu *VU) xk6Pop3() map[string]any {
	for name, kind := range map[script.Metric]string{
		script.Connecting: "trend", script.Handshaking: "trend", script.Duration: "trend", script.Sockets: "counter",
	} {
		vu.must(vu.test.metrics.declare(string(name), kind, kind == "trend"))
	}
	return script.New(host{vu}).Exports()
}

// host is a VU as xk6-pop3 wants it.
type host struct{ of *VU }

func (h host) Runtime() *sobek.Runtime { return h.of.runtime }

func (h host) RegisterCallback() func(func() error) { return h.of.loop.register() }

func (h host) VU() *script.VU {
	vu := h.of
	if vu.isInit() {
		return nil
	}
	tags := vu.tagsNow(map[string]string{"proto": "POP3"})
	return &script.VU{
		Context: vu.iteration.ctx,
		Dial:    vu.test.dial,
		Resolve: vu.test.lookUp,
		TLS:     vu.test.tls(),
		Measure: func(metric script.Metric, own map[string]string, value float64) {
			all := map[string]string{}
			for name, each := range tags {
				all[name] = each
			}
			for name, each := range own {
				all[name] = each
			}
			vu.test.metrics.add(string(metric), value, all)
		},
	}
}

// tls: the authorities are the system's; on Linux SSL_CERT_FILE names others, to k6 too.
func (t *test) tls() *tls.Config {
	return &tls.Config{InsecureSkipVerify: t.options.InsecureSkipTLSVerify}
}

func (t *test) dial(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, each := range []string{address, name} {
		if ip := t.options.Hosts[each]; ip != "" {
			name = ip
			break
		}
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(name, port))
}

// lookUp has k6's option `hosts` first, the entry with the port before that without, and then IPv4.
func (t *test) lookUp(name string, port int) (net.IP, error) {
	for _, each := range []string{net.JoinHostPort(name, strconv.Itoa(port)), name} {
		if ip := t.options.Hosts[each]; ip != "" {
			return net.ParseIP(ip), nil
		}
	}
	found, err := net.LookupIP(name)
	if err != nil {
		return nil, err
	}
	for _, ip := range found {
		if ip.To4() != nil {
			return ip, nil
		}
	}
	return found[0], nil
}
