package script

import (
	"context"
	"time"

	"github.com/grafana/sobek"

	"github.com/pop-connectivity/xk6-pop3/link"
)

// connection makes the object of a link. It closes by itself at the end of the iteration.
func (m *Module) connection(vu *VU, opened *link.Connection, tags map[string]string) sobek.Value {
	c := &connection{module: m, vu: vu, link: opened, tags: tags, begun: time.Now()}
	c.forget = context.AfterFunc(vu.Context, func() { opened.Close() })
	remote, local := opened.Addresses()
	return m.values.object(map[string]any{
		"remoteAddress": m.values.addressOf(remote),
		"remotePort":    m.values.portOf(remote),
		"localAddress":  m.values.addressOf(local),
		"localPort":     m.values.portOf(local),
		"read":          c.read,
		"write":         c.write,
		"startTLS":      c.startTLS,
		"close":         c.close,
	})
}

// connection is all on the event loop: what is under way is known there, and needs no lock.
type connection struct {
	module *Module
	vu     *VU
	link   *link.Connection
	tags   map[string]string
	begun  time.Time
	forget func() bool
	busy   bool
}

func (c *connection) read(call sobek.FunctionCall) sobek.Value {
	limit := c.module.values.limit(call.Argument(0))
	return c.operation(func() (func() any, error) {
		octets, err := c.link.Read(limit)
		if err != nil {
			return nil, err
		}
		if octets == nil {
			return func() any { return sobek.Null() }, nil
		}
		return func() any { return c.module.values.octets(octets) }, nil
	})
}

func (c *connection) write(call sobek.FunctionCall) sobek.Value {
	octets := c.module.values.octetsIn(call.Argument(0), "octets")
	limit := c.module.values.limit(call.Argument(1))
	return c.operation(func() (func() any, error) {
		return nothing, c.link.Write(octets, limit)
	})
}

func (c *connection) startTLS(call sobek.FunctionCall) sobek.Value {
	terms := c.module.values.terms(call.Argument(0))
	limit := c.module.values.limit(call.Argument(1))
	terms.Base = c.vu.TLS
	return c.operation(func() (func() any, error) {
		begun := time.Now()
		session, err := c.link.StartTLS(terms, limit)
		if err != nil {
			return nil, err
		}
		c.vu.Measure(Handshaking, c.tags, milliseconds(time.Since(begun)))
		return func() any { return c.module.values.secured(session) }, nil
	})
}

func (c *connection) close(sobek.FunctionCall) sobek.Value {
	c.forget()
	if c.link.Close() {
		c.vu.Measure(Duration, c.tags, milliseconds(time.Since(c.begun)))
	}
	return sobek.Undefined()
}

// operation is a promise for the one thing that is under way.
func (c *connection) operation(work func() (func() any, error)) sobek.Value {
	if c.busy {
		return c.module.refusal(link.Fail(link.Busy))
	}
	c.busy = true
	return c.module.promise(work, func() { c.busy = false })
}

func nothing() any { return sobek.Undefined() }
