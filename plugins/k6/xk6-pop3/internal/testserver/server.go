// Package testserver has servers on loopback for the tests, and certificates of every kind for them.
package testserver

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Serve gives each connection to serve, on a port of its own, until the test ends; then it ends them all and waits.
func Serve(t testing.TB, serve func(conn net.Conn)) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	var mutex sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mutex.Lock()
			open = append(open, conn)
			mutex.Unlock()
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mutex.Lock()
		for _, each := range open {
			_ = each.Close()
		}
		mutex.Unlock()
		all.Wait()
	})
	return listener.Addr().(*net.TCPAddr)
}
