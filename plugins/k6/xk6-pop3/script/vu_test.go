package script_test

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/grafana/sobek"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pop-connectivity/xk6-pop3/script"
)

// Whatever a test leaves running fails it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// virtualUser runs scripts as a VU of k6 does: one engine, one event loop that waits for every callback registered, a
// context that ends with the iteration.
type virtualUser struct {
	t        *testing.T
	runtime  *sobek.Runtime
	queue    chan func() error
	awaited  int
	vu       *script.VU
	end      context.CancelFunc
	mutex    sync.Mutex
	measured []measurement
}

type measurement struct {
	metric script.Metric
	tags   map[string]string
	value  float64
}

func newVirtualUser(t *testing.T) *virtualUser {
	v := &virtualUser{t: t, runtime: sobek.New(), queue: make(chan func() error, 100)}
	ctx, end := context.WithCancel(t.Context())
	v.end = end
	t.Cleanup(end)
	v.vu = &script.VU{
		Context: ctx,
		Dial:    new(net.Dialer).DialContext,
		Resolve: func(string, int) (net.IP, error) { return net.ParseIP("192.0.2.7"), nil },
		TLS:     &tls.Config{},
		Measure: func(metric script.Metric, tags map[string]string, value float64) {
			v.mutex.Lock()
			defer v.mutex.Unlock()
			v.measured = append(v.measured, measurement{metric, tags, value})
		},
	}
	pop3 := v.runtime.NewObject()
	for name, function := range script.New(v).Exports() {
		require.NoError(t, pop3.Set(name, function))
	}
	v.set("pop3", pop3)
	_, err := v.runtime.RunString(`
		const octets = (text) => new Uint8Array(Array.from(text, (char) => char.charCodeAt(0)));
		const text = (octets) => String.fromCharCode(...octets);
		const failure = async (promise) => {
			try {
				await promise;
			} catch (error) {
				return [error instanceof Error, error.name, error.code, error.message];
			}
			return 'no failure';
		};
		const codeOf = async (promise) => (await failure(promise))[2];
		const thrown = (action) => {
			try {
				action();
			} catch (error) {
				return [error instanceof TypeError, error.message];
			}
			return 'nothing thrown';
		};
	`)
	require.NoError(t, err)
	return v
}

func (v *virtualUser) Runtime() *sobek.Runtime { return v.runtime }

func (v *virtualUser) VU() *script.VU { return v.vu }

func (v *virtualUser) RegisterCallback() func(func() error) {
	v.awaited++
	return func(callback func() error) { v.queue <- callback }
}

func (v *virtualUser) set(name string, value any) { require.NoError(v.t, v.runtime.Set(name, value)) }

// at makes the address of a server the `host` and `port` of the script.
func (v *virtualUser) at(server *net.TCPAddr) {
	v.set("host", server.IP.String())
	v.set("port", server.Port)
}

// event is a promise in the script, and what resolves it from a server.
func (v *virtualUser) event(name string) (happen func()) {
	promise, resolve, _ := v.runtime.NewPromise()
	v.set(name, promise)
	enqueue := v.RegisterCallback()
	return func() { enqueue(func() error { return resolve(sobek.Undefined()) }) }
}

// run runs the body of an async function until nothing is awaited, and gives what it returns, as JSON.
func (v *virtualUser) run(body string) string {
	v.t.Helper()
	made, err := v.runtime.RunString("(async () => {" + body + "})().then((value) => JSON.stringify(value))")
	require.NoError(v.t, err)
	v.wait()
	promise := made.Export().(*sobek.Promise)
	switch promise.State() {
	case sobek.PromiseStateFulfilled:
		return promise.Result().String()
	case sobek.PromiseStateRejected:
		require.Fail(v.t, "the script failed", promise.Result().String())
	default:
		require.Fail(v.t, "the script waits for something that nobody will settle")
	}
	return ""
}

func (v *virtualUser) wait() {
	v.t.Helper()
	for v.awaited > 0 {
		select {
		case callback := <-v.queue:
			v.awaited--
			require.NoError(v.t, callback())
		case <-time.After(20 * time.Second):
			require.Fail(v.t, fmt.Sprintf("%d callbacks never came", v.awaited))
		}
	}
}

func (v *virtualUser) values(metric script.Metric) (values []float64) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	for _, each := range v.measured {
		if each.metric == metric {
			values = append(values, each.value)
		}
	}
	return values
}

func named(name string) pkix.Name { return pkix.Name{CommonName: name} }
