package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// Terms is what TLS has to know of the server and of us.
type Terms struct {
	// ServerName is told to the server (SNI, RFC 6066 §3); empty for none.
	ServerName string
	// Identity is the name or address the certificate must be for.
	Identity string
	// Authorities are certificates in PEM that replace Base's and the system's roots; empty for those.
	Authorities string
	// Pins are SHA-256 fingerprints, hexadecimal in lower case; none for any certificate.
	Pins []string
	// ClientCertificate is PEM, certificate and key, shown to a server that asks for one; nil for what Base has.
	ClientCertificate *KeyPair
	// Insecure leaves the certificate unjudged.
	Insecure bool
	// Base has the versions, cipher suites, client certificates, roots and key log that k6's options make; nil for none.
	Base *tls.Config
}

// KeyPair is a certificate and its key in PEM.
type KeyPair struct{ Certificate, Key string }

// Session is what came of a handshake.
type Session struct {
	// Version is as TLS names it, `TLSv1.3`; Cipher as IANA does.
	Version, Cipher, ALPN string
	// Chain is the server's certificate, then what it sent that vouches for it.
	Chain []Certificate
	// Trusted tells whether a way leads to a root, all of it valid now; Authorized whether nothing at all is wrong.
	Trusted, Authorized bool
	Faults              []Fault
	// Bindings are channel bindings by their registered names.
	Bindings map[string][]byte
}

// StartTLS makes the handshake as a client, then judges the certificate: one at fault is no error. What the server said
// in clear and nobody has read is refused (RFC 2595 §4): it must not pass for something said over TLS.
func (c *Connection) StartTLS(terms Terms, limit time.Duration) (*Session, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	if c.secured {
		return nil, failed(Secured)
	}
	config, err := configFor(terms)
	if err != nil {
		return nil, err
	}
	if err := c.allRead(); err != nil {
		return nil, err
	}
	if err := c.plain.SetDeadline(deadline(limit)); err != nil {
		return nil, c.failure(err)
	}
	client := tls.Client(c.plain, config)
	if err := client.Handshake(); err != nil {
		c.unfit = true
		if c.closed.Load() {
			return nil, failed(Closed)
		}
		return nil, handshakeFailure(err)
	}
	if err := c.plain.SetDeadline(time.Time{}); err != nil {
		return nil, c.failure(err)
	}
	c.stream, c.secured = client, true
	state := client.ConnectionState()
	session := judge(state, config, terms, time.Now())
	if session.Bindings, err = bindings(state); err != nil {
		return nil, FailureOf(err)
	}
	return session, nil
}

// configFor keeps what k6's options say of TLS; what would get in the way of a conversation it puts right.
func configFor(terms Terms) (*tls.Config, error) {
	config := &tls.Config{}
	if terms.Base != nil {
		config = terms.Base.Clone()
	}
	config.ServerName = terms.ServerName
	config.InsecureSkipVerify = true            // the handshake goes through, then the certificate is judged
	config.NextProtos = nil                     // http/1.1 would be refused by a server that knows pop3 alone (RFC 7301 §3.2)
	config.ClientSessionCache = nil             // taking a session up again shows no certificate
	config.Renegotiation = tls.RenegotiateNever // nor would another handshake be judged
	if terms.Authorities != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(terms.Authorities)) {
			return nil, &Failure{PEM, "there is no certificate in ca"}
		}
	}
	if pair := terms.ClientCertificate; pair != nil {
		ours, err := tls.X509KeyPair([]byte(pair.Certificate), []byte(pair.Key))
		if err != nil {
			return nil, &Failure{PEM, "the client certificate cannot be used: " + strings.TrimPrefix(clause(err), "tls: ")}
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &ours, nil }
	}
	return config, nil
}

// handshakeFailure is why there is no TLS.
func handshakeFailure(err error) *Failure {
	var clear tls.RecordHeaderError
	if errors.As(err, &clear) {
		return &Failure{Clear, "the server speaks in clear where TLS should begin"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Failure{Reset, "the server closed the connection in the TLS handshake"}
	}
	if failure := tlsFailure(err); failure != nil {
		return failure
	}
	if failure := FailureOf(err); failure.Code != Other {
		return failure
	}
	return &Failure{TLS, strings.TrimPrefix(clause(err), "tls: ")}
}

// lateFailure is an error on a connection under TLS. TLS 1.3 lets a server refuse the client's certificate, or its
// absence, after the handshake seemed done (RFC 8446 §4.4.2.4).
func lateFailure(err error) *Failure {
	if failure := tlsFailure(err); failure != nil {
		return failure
	}
	failure := FailureOf(err)
	if failure.Code == Other {
		return &Failure{TLS, "TLS broke off: " + strings.TrimPrefix(failure.Words, "tls: ")}
	}
	return failure
}

// tlsFailure is what an alert of the server stands for (RFC 8446 §6), or nil where it is none. Go keeps the numbers of
// alerts to itself, and tells them by their words.
func tlsFailure(err error) *Failure {
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return nil
	}
	text := strings.TrimPrefix(remote.Err.Error(), "tls: ")
	if meaning, is := alerts[text]; is {
		return &Failure{TLS, meaning}
	}
	return &Failure{TLS, "the server ended TLS: " + text}
}

var alerts = map[string]string{
	"handshake failure":              "the server shares no cipher with us, or wants a client certificate",
	"protocol version not supported": "the server has no version of TLS that we may use",
	"unrecognized name":              "the server does not know the name it was asked for",
	"certificate required":           "the server demands a client certificate",
}

var versions = map[uint16]string{
	tls.VersionTLS10: "TLSv1.0", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3",
}
