package link

import "net"

// Wrapper is a connection that counts or watches another one, and shows it.
type Wrapper interface {
	Unwrap() net.Conn
}

// bare is the connection under those that count or watch it.
func bare(conn net.Conn) net.Conn {
	for {
		wrapper, is := conn.(Wrapper)
		if !is {
			return conn
		}
		conn = wrapper.Unwrap()
	}
}
