//go:build unix

package link

import "syscall"

// errnos are the operating system's errors by the names index.d.ts has.
var errnos = map[syscall.Errno]Code{
	syscall.ECONNREFUSED:  "ECONNREFUSED",
	syscall.ECONNRESET:    "ECONNRESET",
	syscall.ECONNABORTED:  "ECONNABORTED",
	syscall.EPIPE:         "EPIPE",
	syscall.EHOSTUNREACH:  "EHOSTUNREACH",
	syscall.ENETUNREACH:   "ENETUNREACH",
	syscall.EHOSTDOWN:     "EHOSTDOWN",
	syscall.ENETDOWN:      "ENETDOWN",
	syscall.ETIMEDOUT:     "ETIMEDOUT",
	syscall.EACCES:        "EACCES",
	syscall.EPERM:         "EPERM",
	syscall.EADDRNOTAVAIL: "EADDRNOTAVAIL",
	syscall.EADDRINUSE:    "EADDRINUSE",
	syscall.EAFNOSUPPORT:  "EAFNOSUPPORT",
	syscall.EMFILE:        "EMFILE",
	syscall.ENFILE:        "ENFILE",
	syscall.ENOBUFS:       "ENOBUFS",
	syscall.ENOMEM:        "ENOMEM",
}
