package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/grafana/sobek"
)

// xk6TCP stands in for k6/x/tcp. It was written after what is documented of it and what was seen of it from outside,
// with all it surprises with:
//
//   - octets come unasked, 4096 at the most, as a list that is no Uint8Array, in memory that is used again;
//   - there is one handler for an event;
//   - what it rejects with is no Error, and where connect() fails `error` comes too;
//   - TLS is from the first octet or not at all, and offers ALPN http/1.1;
//   - times are whole milliseconds; connecting is with TLS in it;
//   - destroy() waits for a connect() under way, and the whole VU with it;
//   - a socket that is not destroyed keeps an iteration from ending.
func (vu *VU) xk6TCP() map[string]any {
	for name, kind := range map[string]string{
		"tcp_sockets": "counter", "tcp_reads": "counter", "tcp_writes": "counter", "tcp_errors": "counter",
		"tcp_socket_connecting": "trend", "tcp_socket_duration": "trend",
	} {
		vu.must(vu.test.metrics.declare(name, kind, kind == "trend"))
	}
	return map[string]any{"Socket": vu.socket}
}

// socket is one Socket. Fields above the mutex belong to the event loop.
type socket struct {
	vu       *VU
	this     *sobek.Object
	ctx      context.Context
	events   *events
	handlers map[string]sobek.Callable
	tags     map[string]string
	begun    time.Time
	isOver   bool
	idle     *time.Timer
	read     int
	sent     int

	mutex sync.Mutex
	conn  net.Conn
}

// TCPError is what the extension tells of a failure: a value of Go, not an Error of JavaScript.
type TCPError struct {
	Name    string `js:"name"`
	Method  string `js:"method"`
	Message string `js:"message"`
}

func (e *TCPError) Error() string { return e.Message }

const largestChunk = 4096

// used is what memory is filled with when it was somebody else's in the meantime.
const used = 'X'

func (vu *VU) socket(call sobek.ConstructorCall) *sobek.Object {
	if vu.isInit() {
		vu.throw("creating a socket in the init context is not supported")
	}
	s := &socket{
		vu: vu, this: call.This, ctx: vu.iteration.ctx, handlers: map[string]sobek.Callable{}, begun: time.Now(),
		tags: vu.tagsNow(map[string]string{"proto": "TCP"}),
	}
	if options := call.Argument(0); !sobek.IsUndefined(options) {
		for name, value := range vu.tagsIn(options.ToObject(vu.runtime).Get("tags")) {
			s.tags[name] = value
		}
	}
	s.events = newEvents(vu.loop)
	context.AfterFunc(s.ctx, func() {
		s.release()
		s.events.end()
	})
	for name, member := range map[string]any{
		"connected": false, "ready_state": "closed", "bytes_read": 0, "bytes_written": 0,
		"on":         func(event string, handler sobek.Callable) { s.handlers[event] = handler },
		"connect":    s.connect,
		"write":      s.write,
		"setTimeout": s.setTimeout,
		"destroy":    s.destroy,
	} {
		vu.must(s.this.Set(name, member))
	}
	s.measure("tcp_sockets", 1)
	return nil
}

// connect takes an object, or a port and a host.
func (s *socket) connect(call sobek.FunctionCall) sobek.Value {
	host, port, secure := "localhost", call.Argument(0).ToInteger(), false
	if to, is := call.Argument(0).(*sobek.Object); is {
		port = to.Get("port").ToInteger()
		host = to.Get("host").String()
		secure = to.Get("tls") != nil && to.Get("tls").ToBoolean()
	} else if given := call.Argument(1); !sobek.IsUndefined(given) {
		host = given.String()
	}
	vu := s.vu
	promise, resolve, reject := vu.runtime.NewPromise()
	enqueue := vu.loop.register()
	began := time.Now()
	s.mutex.Lock() // until it is connected, or is not
	go func() {
		conn, err := s.dial(host, int(port), secure)
		s.conn = conn
		s.mutex.Unlock()
		enqueue(func() error {
			if err != nil {
				reason := vu.runtime.ToValue(&TCPError{"TCPError", "connect", err.Error()})
				s.measure("tcp_errors", 1)
				if err := s.fire("error", reason); err != nil {
					return err
				}
				return reject(reason)
			}
			s.measure("tcp_socket_connecting", wholeMs(time.Since(began)))
			s.opened(conn)
			if err := s.fire("connect"); err != nil {
				return err
			}
			go s.listen(conn)
			return resolve(sobek.Undefined())
		})
	}()
	return vu.runtime.ToValue(promise)
}

func (s *socket) dial(host string, port int, secure bool) (net.Conn, error) {
	conn, err := s.vu.test.dial(s.ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil || !secure {
		return conn, err
	}
	config := s.vu.test.tls()
	config.ServerName = host
	config.NextProtos = []string{"http/1.1"}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(s.ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secured, nil
}

func (s *socket) opened(conn net.Conn) {
	members := map[string]any{"connected": true, "ready_state": "open"}
	if remote, is := conn.RemoteAddr().(*net.TCPAddr); is {
		members["remote_ip"], members["remote_port"] = remote.IP.String(), remote.Port
	}
	if local, is := conn.LocalAddr().(*net.TCPAddr); is {
		members["local_ip"], members["local_port"] = local.IP.String(), local.Port
	}
	for name, value := range members {
		s.vu.must(s.this.Set(name, value))
	}
}

// listen reads whatever comes, whether anybody waits for it or not.
func (s *socket) listen(conn net.Conn) {
	for {
		chunk := make([]byte, largestChunk)
		count, err := conn.Read(chunk)
		if count > 0 {
			s.events.add(func() error { return s.arrived(chunk[:count]) })
		}
		if err == nil {
			continue
		}
		s.events.add(func() error {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !s.isOver {
				s.measure("tcp_errors", 1)
				if err := s.fire("error", s.vu.runtime.ToValue(&TCPError{"TCPError", "read", err.Error()})); err != nil {
					return err
				}
			}
			return s.close()
		})
		return
	}
}

func (s *socket) arrived(octets []byte) error {
	if s.isOver {
		return nil
	}
	s.read += len(octets)
	s.vu.must(s.this.Set("bytes_read", s.read))
	s.measure("tcp_reads", 1)
	err := s.fire("data", s.vu.runtime.ToValue(octets))
	for at := range octets {
		octets[at] = used
	}
	return err
}

func (s *socket) write(call sobek.FunctionCall) sobek.Value {
	vu := s.vu
	octets := append([]byte{}, s.spelt(call.Argument(0), call.Argument(1))...)
	promise, resolve, reject := vu.runtime.NewPromise()
	enqueue := vu.loop.register()
	go func() {
		err := errors.New("no active connection")
		s.mutex.Lock()
		conn := s.conn
		s.mutex.Unlock()
		if conn != nil {
			_, err = conn.Write(octets)
		}
		enqueue(func() error {
			if err != nil {
				s.measure("tcp_errors", 1)
				return reject(vu.runtime.ToValue(err))
			}
			s.sent += len(octets)
			vu.must(s.this.Set("bytes_written", s.sent))
			s.measure("tcp_writes", 1)
			return resolve(sobek.Undefined())
		})
	}()
	return vu.runtime.ToValue(promise)
}

// spelt: a text is UTF-8 unless told otherwise; there is no Latin-1.
func (s *socket) spelt(given, options sobek.Value) []byte {
	octets := s.vu.octets(given)
	if _, is := given.Export().(string); !is || sobek.IsUndefined(options) {
		return octets
	}
	encoding := options.ToObject(s.vu.runtime).Get("encoding")
	if encoding == nil || sobek.IsUndefined(encoding) {
		return octets
	}
	var err error
	switch encoding.String() {
	case "utf8", "utf-8", "ascii":
	case "hex":
		octets, err = hex.DecodeString(string(octets))
	case "base64":
		octets, err = base64.StdEncoding.DecodeString(string(octets))
	case "base64url":
		octets, err = base64.RawURLEncoding.DecodeString(string(octets))
	default:
		err = errors.New("unknown encoding " + encoding.String())
	}
	s.vu.must(err)
	return octets
}

// setTimeout tells again and again that nothing was read, and closes nothing.
func (s *socket) setTimeout(ms float64) {
	if s.idle != nil {
		s.idle.Stop()
	}
	span, last := time.Duration(ms*float64(time.Millisecond)), s.read
	if span <= 0 || s.isOver {
		return
	}
	s.idle = time.AfterFunc(span, func() {
		s.events.add(func() error {
			if s.isOver {
				return nil
			}
			isSilent := s.read == last
			s.setTimeout(ms)
			if !isSilent {
				return nil
			}
			return s.fire("timeout")
		})
	})
}

func (s *socket) destroy(sobek.FunctionCall) sobek.Value {
	if err := s.close(); err != nil {
		panic(err)
	}
	return sobek.Undefined()
}

func (s *socket) close() error {
	if s.isOver {
		return nil
	}
	s.isOver = true
	if s.idle != nil {
		s.idle.Stop()
	}
	s.release()
	s.vu.must(s.this.Set("connected", false))
	s.vu.must(s.this.Set("ready_state", "destroyed"))
	s.measure("tcp_socket_duration", wholeMs(time.Since(s.begun)))
	err := s.fire("close")
	s.events.end()
	return err
}

// release lets go of the connection; it waits for one that is being made.
func (s *socket) release() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *socket) fire(event string, given ...sobek.Value) error {
	if handler := s.handlers[event]; handler != nil {
		_, err := handler(sobek.Undefined(), given...)
		return err
	}
	return nil
}

func (s *socket) measure(name string, value float64) { s.vu.test.metrics.add(name, value, s.tags) }

func wholeMs(span time.Duration) float64 { return float64(span.Milliseconds()) }

// events go from any goroutine to the event loop, in their order. Until end() the loop waits for them.
type events struct {
	loop    *loop
	mutex   sync.Mutex
	enqueue func(func() error)
	waiting []func() error
	isOver  bool
}

func newEvents(l *loop) *events { return &events{loop: l, enqueue: l.register()} }

func (e *events) add(event func() error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.waiting = append(e.waiting, event)
	e.flush()
}

func (e *events) end() {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.isOver = true
	e.flush()
}

// flush has the loop run what waits, where it does not already.
func (e *events) flush() {
	if e.enqueue != nil {
		e.enqueue(e.run)
		e.enqueue = nil
	}
}

func (e *events) run() error {
	e.mutex.Lock()
	waiting := e.waiting
	e.waiting = nil
	if !e.isOver {
		e.enqueue = e.loop.register()
	}
	e.mutex.Unlock()
	for _, event := range waiting {
		if err := event(); err != nil {
			return err
		}
	}
	return nil
}
