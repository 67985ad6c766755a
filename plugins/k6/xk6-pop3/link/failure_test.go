package link_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pop-connectivity/xk6-pop3/link"
)

func TestEveryErrorHasItsCode(t *testing.T) {
	wrapped := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, row := range []struct {
		err   error
		code  link.Code
		words string
	}{
		{wrapped(syscall.ECONNREFUSED), "ECONNREFUSED", "the connection was refused"},
		{wrapped(syscall.ECONNRESET), "ECONNRESET", "the connection was reset"},
		{wrapped(syscall.EHOSTUNREACH), "EHOSTUNREACH", "no route to the host"},
		{wrapped(syscall.ENETUNREACH), "ENETUNREACH", "no route to the network"},
		{wrapped(syscall.ETIMEDOUT), "ETIMEDOUT", "it took too long"},
		{wrapped(syscall.EMFILE), "EMFILE", "this process has too many files open"},
		{wrapped(syscall.EPIPE), "EPIPE", "the server has closed the connection"},
		{wrapped(syscall.ENOTDIR), "EIO", "dial tcp: connect: not a directory"},
		{&net.DNSError{IsNotFound: true}, "ENOTFOUND", "no such host"},
		{&net.DNSError{IsTimeout: true}, "EDNS", "the name service cannot be asked"},
		{&net.OpError{Op: "dial", Err: &net.AddrError{Err: "no suitable address found"}}, "ENOTFOUND", "no address of that family"},
		{context.Canceled, "ECLOSED", "the connection is closed"},
		{context.DeadlineExceeded, "ETIMEDOUT", "it took too long"},
		{os.ErrDeadlineExceeded, "ETIMEDOUT", "it took too long"},
		{fmt.Errorf("odd: %w", io.ErrUnexpectedEOF), "ECONNRESET", "the connection was reset"},
		{fmt.Errorf("k6 says: %w", link.Fail(link.Blocked)), "EBLOCKED", "k6's options block this host"},
		{errors.New("of several\r\n  lines"), "EIO", "of several lines"},
	} {
		failure := link.FailureOf(row.err)
		require.Equal(t, row.code, failure.Code, row.err)
		require.Equal(t, row.words, failure.Error(), row.err)
	}
}
