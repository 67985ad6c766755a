// Package link is one connection to a server, as a conversation wants it: nothing is read that was not asked for, TLS
// may start in the middle, and whatever goes wrong is a Failure with a code. It knows nothing of POP3, JavaScript or k6.
package link

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// Connection is one connection. Close may be called at any time; of the other operations one at a time.
type Connection struct {
	plain net.Conn
	// What is spoken over: plain, later TLS over it.
	stream  net.Conn
	secured bool
	ended   bool
	// Something was cut off in the middle, and what comes next would be read as what it is not.
	unfit  bool
	closed atomic.Bool
	buffer [16384]byte // the longest TLS record, RFC 8446 §5.1
}

// Destination is where to connect to.
type Destination struct {
	// Host is a name or an address, an IPv6 one without brackets.
	Host string
	Port int
	// Family is 4, 6, or 0 for any.
	Family int
	// Limit is the time there is for it; 0 for as long as the dialer takes.
	Limit time.Duration
}

// Dial connects to a `host:port`; names are its affair.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

var networks = map[int]string{0: "tcp", 4: "tcp4", 6: "tcp6"}

// Connect dials. Its error is a Failure; ctx being done is Closed.
func Connect(ctx context.Context, dial Dial, to Destination) (*Connection, error) {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if to.Limit > 0 {
		bounded, cancel = context.WithTimeout(ctx, to.Limit)
	}
	defer cancel()
	conn, err := dial(bounded, networks[to.Family], net.JoinHostPort(to.Host, strconv.Itoa(to.Port)))
	if ctx.Err() != nil {
		if err == nil {
			_ = conn.Close()
		}
		return nil, failed(Closed)
	}
	if err != nil {
		return nil, FailureOf(err)
	}
	return &Connection{plain: conn, stream: conn}, nil
}

// Addresses are the server's end and ours; nil where the dialer does not tell.
func (c *Connection) Addresses() (remote, local *net.TCPAddr) {
	remote, _ = c.plain.RemoteAddr().(*net.TCPAddr)
	local, _ = c.plain.LocalAddr().(*net.TCPAddr)
	return remote, local
}

// Read waits for what arrives next: 1 to 16384 octets, or nil at the end of the stream. After TimedOut nothing is lost.
func (c *Connection) Read(limit time.Duration) ([]byte, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if c.ended {
		return nil, nil
	}
	if err := c.stream.SetReadDeadline(deadline(limit)); err != nil {
		return nil, c.failure(err)
	}
	for {
		n, err := c.stream.Read(c.buffer[:])
		switch {
		case n > 0:
			return bytes.Clone(c.buffer[:n]), nil
		case err == io.EOF:
			c.ended = true
			return nil, nil
		case err != nil:
			return nil, c.failure(err)
		}
	}
}

// Write returns when the operating system has taken over all octets. After TimedOut only Close is left. In clear it is
// Unread while something waits that was said before we asked: it would be taken for the answer. Over TLS that cannot be
// told from what TLS itself has to say.
func (c *Connection) Write(octets []byte, limit time.Duration) error {
	if err := c.usable(); err != nil {
		return err
	}
	if !c.secured {
		if err := c.allRead(); err != nil {
			return err
		}
	}
	if err := c.stream.SetWriteDeadline(deadline(limit)); err != nil {
		return c.failure(err)
	}
	if _, err := c.stream.Write(octets); err != nil {
		c.unfit = true
		return c.failure(err)
	}
	return nil
}

// Close lets go at once and ends what is under way, without TLS's close_notify: that could block. Again, it does
// nothing. It reports whether this call was the one that closed.
func (c *Connection) Close() bool {
	if c.closed.Swap(true) {
		return false
	}
	_ = c.plain.Close()
	return true
}

// allRead is Unread while the operating system holds something that we were sent.
func (c *Connection) allRead() error {
	if octets := unread(c.plain); octets > 0 {
		return &Failure{Unread, fmt.Sprintf("%d octets the server sent in clear are unread", octets)}
	}
	return nil
}

func (c *Connection) usable() error {
	if c.closed.Load() || c.unfit {
		return failed(Closed)
	}
	return nil
}

// failure tells our own closing from the server's.
func (c *Connection) failure(err error) error {
	if c.closed.Load() {
		return failed(Closed)
	}
	if c.secured {
		return lateFailure(err)
	}
	return FailureOf(err)
}

func deadline(limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return time.Now().Add(limit)
}
