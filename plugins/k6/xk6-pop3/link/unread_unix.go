//go:build unix

package link

import (
	"net"
	"syscall"
)

// unread counts the octets the operating system holds for us, up to what one look shows; 0 where it does not tell.
func unread(conn net.Conn) int {
	socket, is := bare(conn).(syscall.Conn)
	if !is {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	seen := 0
	_ = raw.Control(func(fd uintptr) {
		var octets [512]byte
		n, _, err := syscall.Recvfrom(int(fd), octets[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == nil && n > 0 {
			seen = n
		}
	})
	return seen
}
