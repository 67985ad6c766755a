package link

import "syscall"

// errnos are Winsock's errors (Windows Sockets Error Codes) by the names index.d.ts has.
var errnos = map[syscall.Errno]Code{
	10013: "EACCES",
	10024: "EMFILE",
	10047: "EAFNOSUPPORT",
	10048: "EADDRINUSE",
	10049: "EADDRNOTAVAIL",
	10050: "ENETDOWN",
	10051: "ENETUNREACH",
	10053: "ECONNABORTED",
	10054: "ECONNRESET",
	10055: "ENOBUFS",
	10060: "ETIMEDOUT",
	10061: "ECONNREFUSED",
	10064: "EHOSTDOWN",
	10065: "EHOSTUNREACH",
}
