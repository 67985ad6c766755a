// Package script is the JavaScript side of k6/x/pop3 (index.d.ts): promises, octets and errors over a link. It knows
// sobek, k6's JavaScript engine; k6 itself comes as a Host.
//
// Values of sobek are touched on the event loop alone; what blocks runs in a goroutine that touches none.
package script

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/grafana/sobek"

	"github.com/pop-connectivity/xk6-pop3/link"
)

// Host is what the module needs of the VU it is in.
type Host interface {
	Runtime() *sobek.Runtime
	// RegisterCallback keeps the event loop waiting until what it returns is called, once, from any goroutine.
	RegisterCallback() (enqueue func(func() error))
	// VU is the iteration under way; nil in the init context.
	VU() *VU
}

// VU is what one iteration gives, as it is when an operation begins.
type VU struct {
	// Context is done when the iteration ends.
	Context context.Context
	Dial    link.Dial
	// Resolve gives the address that Dial would take for a name and a port; 0 is no port.
	Resolve func(host string, port int) (net.IP, error)
	TLS     *tls.Config
	// Measure takes one value of a metric, from any goroutine.
	Measure func(metric Metric, tags map[string]string, value float64)
}

// Metric is one of those of index.d.ts.
type Metric string

// Trends in milliseconds, and a counter.
const (
	Connecting  Metric = "pop3_socket_connecting"
	Handshaking Metric = "pop3_socket_tls_handshaking"
	Duration    Metric = "pop3_socket_duration"
	Sockets     Metric = "pop3_sockets"
)

// New makes the module of one VU, in the init context.
func New(host Host) *Module {
	return &Module{host: host, values: valuesOf(host.Runtime())}
}

// Module is k6/x/pop3 in one VU.
type Module struct {
	host   Host
	values *values
}

// Exports are the functions of the module by their names.
func (m *Module) Exports() map[string]any {
	return map[string]any{"connect": m.connect, "resolve": m.resolve, "now": now, "pbkdf2": m.pbkdf2}
}

var started = time.Now()

// now has the resolution of Go's monotonic clock.
func now() float64 { return milliseconds(time.Since(started)) }

func milliseconds(span time.Duration) float64 { return float64(span) / float64(time.Millisecond) }

func (m *Module) connect(call sobek.FunctionCall) sobek.Value {
	vu := m.vu("connect")
	to, tags := m.values.destination(call.Argument(0))
	return m.promise(func() (func() any, error) {
		begun := time.Now()
		opened, err := link.Connect(vu.Context, vu.Dial, to)
		if err != nil {
			return nil, err
		}
		vu.Measure(Connecting, tags, milliseconds(time.Since(begun)))
		vu.Measure(Sockets, tags, 1)
		return func() any { return m.connection(vu, opened, tags) }, nil
	})
}

func (m *Module) resolve(call sobek.FunctionCall) sobek.Value {
	vu := m.vu("resolve")
	asked := m.values.question(call.Argument(0), call.Argument(1))
	return m.promise(func() (func() any, error) {
		ip, err := lookUp(vu, asked)
		if err != nil {
			return nil, err
		}
		return func() any { return m.values.runtime.NewArray(ip.String()) }, nil
	})
}

// lookUp outlives neither its time nor the iteration, though the resolver cannot be told to stop.
func lookUp(vu *VU, asked link.Destination) (net.IP, error) {
	type answer struct {
		ip  net.IP
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		if ip := net.ParseIP(asked.Host); ip != nil {
			answers <- answer{ip, nil}
			return
		}
		ip, err := vu.Resolve(asked.Host, asked.Port)
		answers <- answer{ip, err}
	}()
	var late <-chan time.Time
	if asked.Limit > 0 {
		timer := time.NewTimer(asked.Limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-vu.Context.Done():
		return nil, link.Fail(link.Closed)
	case <-late:
		return nil, link.Fail(link.TimedOut)
	case given := <-answers:
		if given.err != nil {
			return nil, given.err
		}
		if given.ip == nil || asked.Family != 0 && asked.Family != familyOf(given.ip) {
			return nil, link.Fail(link.NotFound)
		}
		return given.ip, nil
	}
}

func familyOf(ip net.IP) int {
	if ip.To4() != nil {
		return 4
	}
	return 6
}

// vu is the iteration under way; it throws in the init context.
func (m *Module) vu(function string) *VU {
	vu := m.host.VU()
	if vu == nil {
		panic(m.values.runtime.NewTypeError("k6/x/pop3: %s() is not for the init context; call it from a VU's function", function))
	}
	return vu
}

// promise runs work in a goroutine; back on the event loop it calls settled, where there is something to be called, and
// settles with what the function that work returns makes.
func (m *Module) promise(work func() (func() any, error), settled ...func()) sobek.Value {
	promise, resolve, reject := m.values.runtime.NewPromise()
	enqueue := m.host.RegisterCallback()
	go func() {
		finish, err := work()
		enqueue(func() error {
			for _, each := range settled {
				each()
			}
			if err != nil {
				return reject(m.values.failure(err))
			}
			return resolve(finish())
		})
	}()
	return m.values.runtime.ToValue(promise)
}

// refusal is a promise that is rejected already.
func (m *Module) refusal(err error) sobek.Value {
	promise, _, reject := m.values.runtime.NewPromise()
	m.values.must(reject(m.values.failure(err)))
	return m.values.runtime.ToValue(promise)
}
