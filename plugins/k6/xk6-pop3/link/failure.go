package link

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Failure is why something did not work out: a code for programs, one clause for people.
type Failure struct {
	Code  Code
	Words string
}

func (f *Failure) Error() string { return f.Words }

// Code is what index.d.ts calls one.
type Code string

// The codes that are decided on in this package; those of the operating system are in errnos.
const (
	NotFound Code = "ENOTFOUND"
	DNS      Code = "EDNS"
	Blocked  Code = "EBLOCKED"
	TimedOut Code = "ETIMEDOUT"
	Reset    Code = "ECONNRESET"
	TLS      Code = "ETLS"
	Clear    Code = "ECLEAR"
	Unread   Code = "EUNREAD"
	PEM      Code = "EPEM"
	Closed   Code = "ECLOSED"
	Busy     Code = "EBUSY"
	Secured  Code = "ESECURED"
	Other    Code = "EIO"
)

var words = map[Code]string{
	NotFound:        "no such host",
	DNS:             "the name service cannot be asked",
	Blocked:         "k6's options block this host",
	TimedOut:        "it took too long",
	Reset:           "the connection was reset",
	Closed:          "the connection is closed",
	Busy:            "another operation is under way on this connection",
	Secured:         "TLS was started already",
	"ECONNREFUSED":  "the connection was refused",
	"ECONNABORTED":  "the connection was aborted",
	"EPIPE":         "the server has closed the connection",
	"EHOSTUNREACH":  "no route to the host",
	"ENETUNREACH":   "no route to the network",
	"EHOSTDOWN":     "the host is down",
	"ENETDOWN":      "the network is down",
	"EACCES":        "this machine does not permit it",
	"EPERM":         "this machine does not permit it",
	"EADDRNOTAVAIL": "this machine has no address or port left for it",
	"EADDRINUSE":    "this machine has no address or port left for it",
	"EAFNOSUPPORT":  "this machine does not speak that kind of address",
	"EMFILE":        "this process has too many files open",
	"ENFILE":        "this machine has too many files open",
	"ENOBUFS":       "this machine is out of network buffers",
	"ENOMEM":        "this machine is out of memory",
}

// failed is a Failure with the words its code has.
func failed(code Code) *Failure { return &Failure{Code: code, Words: words[code]} }

// Fail is a Failure of that code.
func Fail(code Code) error { return failed(code) }

// FailureOf is what an error of a socket, a lookup or a context stands for; one we do not know keeps its own words.
func FailureOf(err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		if lookup.IsNotFound {
			return failed(NotFound)
		}
		return failed(DNS)
	}
	var address *net.AddrError
	if errors.As(err, &address) && strings.HasPrefix(address.Err, "no suitable address") {
		return &Failure{NotFound, "no address of that family"}
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		if code, is := errnos[number]; is {
			return failed(code)
		}
	}
	for _, row := range meanings {
		if errors.Is(err, row.err) {
			return failed(row.code)
		}
	}
	return &Failure{Other, clause(err)}
}

var meanings = []struct {
	err  error
	code Code
}{
	{context.Canceled, Closed},
	{context.DeadlineExceeded, TimedOut},
	{os.ErrDeadlineExceeded, TimedOut},
	{net.ErrClosed, Closed},
	{io.EOF, Reset},
	{io.ErrUnexpectedEOF, Reset},
}

// clause is an error's own words, in one line.
func clause(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
