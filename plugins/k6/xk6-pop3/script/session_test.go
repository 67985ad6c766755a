package script_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pop-connectivity/xk6-pop3/internal/testserver"
	"github.com/pop-connectivity/xk6-pop3/link"
	"github.com/pop-connectivity/xk6-pop3/script"
)

// say writes; a connection that is gone shows itself in what the script sees.
func say(conn net.Conn, text string) { _, _ = conn.Write([]byte(text)) }

// hear waits for a line.
func hear(conn net.Conn) { _, _ = bufio.NewReaderSize(conn, 16).ReadString('\n') }

// hold keeps a connection open until the other end is gone.
func hold(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

const connect = `const c = await pop3.connect({ host, port, timeoutMs: 20000 });`

func TestAPlainSessionIsReadAndWritten(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) {
		say(conn, "+OK ready\r\n")
		hear(conn)
		say(conn, "+OK bye\r\n")
	}))
	require.JSONEq(t, `{"real": true, "greeting": "+OK ready\r\n", "bye": "+OK bye\r\n", "end": null, "again": null,
		"remote": true, "local": true}`, v.run(connect+`
		const first = await c.read(20000);
		await c.write(octets('QUIT\r\n'));
		const bye = await c.read();
		const end = await c.read();
		const again = await c.read(1);
		c.close();
		return {
			real: first instanceof Uint8Array, greeting: text(first), bye: text(bye), end, again,
			remote: c.remoteAddress === host && c.remotePort === port,
			local: c.localAddress === '127.0.0.1' && c.localPort > 0,
		};`))
}

func TestNothingIsReadBehindTheBackOfTheConversation(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) {
		say(conn, "+OK 1\r\n")
		hear(conn)
		say(conn, "+OK 2\r\n")
		hold(conn)
	}))
	// The octets are there, but they stay the operating system's: an array handed out is never changed again either.
	require.JSONEq(t, `["+OK 1\r\n", "+OK 2\r\n", "+OK 1\r\n"]`, v.run(connect+`
		const one = await c.read();
		const kept = text(one);
		await c.write(octets('NOOP\r\n').buffer);
		const two = await c.read();
		c.close();
		return [kept, text(two), text(one)];`))
}

func TestWhatIsWrittenMayBeChangedAtOnce(t *testing.T) {
	heard := make(chan string, 1)
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		heard <- line
	}))
	v.run(connect + `
		const whole = octets('..STAT\r\n..');
		const sent = c.write(whole.subarray(2, 8));
		whole.fill(0);
		await sent;
		await c.read();
		c.close();`)
	require.Equal(t, "STAT\r\n", <-heard)
}

func TestTLSStartsInTheMiddle(t *testing.T) {
	authority := testserver.NewAuthority(t, testserver.Wanted{})
	server := &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, testserver.Wanted{})}, NextProtos: []string{"pop3"}}
	names := make(chan string, 1)
	v := newVirtualUser(t)
	v.set("ca", authority.PEM())
	v.at(testserver.Serve(t, func(conn net.Conn) {
		say(conn, "+OK ready\r\n")
		hear(conn)
		say(conn, "+OK begin\r\n")
		secured := tls.Server(conn, server)
		hear(secured)
		names <- secured.ConnectionState().ServerName
		say(secured, "+OK over TLS\r\n")
		_ = secured.Close()
	}))
	require.JSONEq(t, `{"version": "TLSv1.3", "cipher": true, "alpn": "", "authorized": true, "trusted": true, "faults": [],
		"subject": "CN=mail.example.com", "names": ["mail.example.com"], "dates": true, "bindings": [true, 32],
		"said": "+OK over TLS\r\n", "end": null, "twice": "ESECURED"}`, v.run(connect+`
		await c.read();
		await c.write(octets('STLS\r\n'));
		await c.read();
		const s = await c.startTLS({ serverName: 'mail.example.com', identity: 'mail.example.com', ca }, 20000);
		const twice = await codeOf(c.startTLS({ serverName: null, identity: 'mail.example.com' }));
		await c.write(octets('CAPA\r\n'));
		const said = text(await c.read());
		const end = await c.read();
		c.close();
		const [leaf] = s.peerCertificates;
		return {
			version: s.version, cipher: /^TLS_[A-Z0-9_]+$/.test(s.cipher), alpn: s.alpn, authorized: s.authorized,
			trusted: s.trusted, faults: s.faults, subject: leaf.subject, names: leaf.names,
			dates: new Date(leaf.validTo).toISOString() === leaf.validTo && leaf.validFrom < leaf.validTo,
			bindings: [s.bindings['tls-exporter'] instanceof Uint8Array, s.bindings['tls-exporter'].length],
			said, end, twice,
		};`))
	require.Equal(t, "mail.example.com", <-names)
	require.Len(t, v.values(script.Handshaking), 1)
}

func TestACertificateAtFaultIsShownAndNotRejected(t *testing.T) {
	v := newVirtualUser(t)
	server := &tls.Config{Certificates: []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{Names: []string{"x.example.net"}})}}
	v.at(testserver.Serve(t, func(conn net.Conn) { hold(tls.Server(conn, server)) }))
	require.JSONEq(t, `[[
		{"code": "wrong-host", "message": "the certificate is for x.example.net, not mail.example.com"},
		{"code": "untrusted", "message": "the certificate is self-signed"}], false, 1]`, v.run(connect+`
		const s = await c.startTLS({ serverName: null, identity: 'mail.example.com' }, 20000);
		c.close();
		return [s.faults, s.authorized, s.peerCertificates.length];`))
}

// What the options of k6 say of TLS comes with the VU.
func TestTheOptionsOfK6CountForTLS(t *testing.T) {
	authority := testserver.NewAuthority(t, testserver.Wanted{})
	server := &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, testserver.Wanted{})}}
	ours := testserver.SelfSigned(t, testserver.Wanted{Subject: named("client")})
	for _, row := range []struct {
		title    string
		options  *tls.Config
		server   func(*tls.Config)
		expected string
	}{
		{title: "insecureSkipTLSVerify", options: &tls.Config{InsecureSkipVerify: true}, expected: `["TLSv1.3", true, [], false]`},
		{title: "tlsVersion", options: &tls.Config{MaxVersion: tls.VersionTLS12}, expected: `["TLSv1.2", true, ["untrusted"], false]`},
		{
			title: "tlsCipherSuites", expected: `["TLSv1.2", false, ["untrusted"], false]`,
			options: &tls.Config{
				MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
			},
		},
		{
			title: "tlsAuth", expected: `["TLSv1.3", true, ["untrusted"], false]`,
			options: &tls.Config{Certificates: []tls.Certificate{ours}},
			server:  func(config *tls.Config) { config.ClientAuth = tls.RequireAnyClientCert },
		},
		{
			title: "whatever they say, http/1.1 is not offered", expected: `["TLSv1.3", true, ["untrusted"], false]`,
			options: &tls.Config{NextProtos: []string{"http/1.1"}},
			server:  func(config *tls.Config) { config.NextProtos = []string{"pop3"} },
		},
	} {
		t.Run(row.title, func(t *testing.T) {
			var log bytes.Buffer
			v := newVirtualUser(t)
			v.vu.TLS = row.options
			v.vu.TLS.KeyLogWriter = &log
			config := server.Clone()
			if row.server != nil {
				row.server(config)
			}
			v.at(testserver.Serve(t, func(conn net.Conn) {
				secured := tls.Server(conn, config)
				if secured.Handshake() == nil {
					say(secured, "+OK\r\n")
					hold(secured)
				}
			}))
			require.JSONEq(t, row.expected, v.run(connect+`
				const s = await c.startTLS({ serverName: null, identity: 'mail.example.com' }, 20000);
				await c.read(20000);
				c.close();
				return [s.version, !s.cipher.includes('CHACHA'), s.faults.map(({ code }) => code), s.authorized];`))
			require.Contains(t, log.String(), "CLIENT_")
		})
	}
}

func TestAServerThatDemandsAClientCertificateGetsTheOneNamed(t *testing.T) {
	server := &tls.Config{
		Certificates: []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{})}, ClientAuth: tls.RequireAnyClientCert,
	}
	ours := testserver.SelfSigned(t, testserver.Wanted{Subject: named("client")})
	shown := make(chan string, 1)
	v := newVirtualUser(t)
	v.set("clientCertificate", map[string]any{
		"certificate": testserver.PEM(ours.Leaf), "key": testserver.KeyPEM(t, ours),
	})
	v.at(testserver.Serve(t, func(conn net.Conn) {
		secured := tls.Server(conn, server)
		if secured.Handshake() == nil {
			shown <- secured.ConnectionState().PeerCertificates[0].Subject.CommonName
			say(secured, "+OK\r\n")
		}
		hold(secured)
	}))
	start := `const s = await c.startTLS({ serverName: null, identity: 'mail.example.com', insecure: true, clientCertificate }, 20000);
		const said = text(await c.read(20000));
		c.close();
		return said;`
	require.JSONEq(t, `"+OK\r\n"`, v.run(connect+start))
	require.Equal(t, "client", <-shown)
	// TLS 1.3 lets it refuse after the handshake (RFC 8446 §4.4.2.4): then it is what is read that fails.
	require.JSONEq(t, `[true, "TransportError", "ETLS", "the server demands a client certificate"]`, v.run(connect+`
		await c.startTLS({ serverName: null, identity: 'mail.example.com', insecure: true }, 20000);
		const failed = await failure(c.read(20000));
		c.close();
		return failed;`))
}

func TestAHandshakeThatFailsSaysWhy(t *testing.T) {
	certificate := []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{})}
	secured := func(config *tls.Config) func(net.Conn) {
		config.Certificates = certificate
		return func(conn net.Conn) { hold(tls.Server(conn, config)) }
	}
	hearHello := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }
	for _, row := range []struct {
		title    string
		serve    func(net.Conn)
		code     string
		message  string
		versions *tls.Config
	}{
		{
			title: "it goes on in clear", code: "ECLEAR", message: "the server speaks in clear where TLS should begin",
			serve: func(conn net.Conn) { hearHello(conn); say(conn, "-ERR what is that?\r\n"); hold(conn) },
		},
		{
			title: "it hangs up", code: "ECONNRESET", message: "the server closed the connection in the TLS handshake",
			serve: func(conn net.Conn) { hearHello(conn) },
		},
		{title: "it keeps quiet", code: "ETIMEDOUT", message: "it took too long", serve: hold},
		{
			title: "no version in common", code: "ETLS", message: "the server has no version of TLS that we may use",
			serve: secured(&tls.Config{MaxVersion: tls.VersionTLS12}), versions: &tls.Config{MinVersion: tls.VersionTLS13},
		},
		{
			title: "no cipher in common", code: "ETLS", message: "the server shares no cipher with us, or wants a client certificate",
			serve: secured(&tls.Config{
				MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			}),
			versions: &tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		},
		{
			title: "it does not know the name", code: "ETLS", message: "the server does not know the name it was asked for",
			serve: func(conn net.Conn) { hearHello(conn); say(conn, "\x15\x03\x03\x00\x02\x02\x70"); hold(conn) },
		},
	} {
		t.Run(row.title, func(t *testing.T) {
			v := newVirtualUser(t)
			if row.versions != nil {
				v.vu.TLS = row.versions
			}
			v.at(testserver.Serve(t, row.serve))
			v.set("expected", []string{row.code, row.message})
			require.JSONEq(t, `[true, true, "ECLOSED"]`, v.run(connect+`
				const [, , code, message] = await failure(
					c.startTLS({ serverName: 'mail.example.com', identity: 'mail.example.com', insecure: true }, 1000));
				const after = await codeOf(c.write(octets('PASS secret\r\n')));
				c.close();
				return [code === expected[0] || code, message === expected[1] || message, after];`))
		})
	}
}

// RFC 2595 §4: what was said in clear must not pass for something said over TLS.
func TestOctetsInClearBeforeTLSAreRefused(t *testing.T) {
	v := newVirtualUser(t)
	injected := v.event("injected")
	v.at(testserver.Serve(t, func(conn net.Conn) {
		say(conn, "+OK begin\r\n")
		hear(conn)
		say(conn, "+OK injected\r\n")
		injected()
		hold(conn)
	}))
	require.JSONEq(t, `[[true, "TransportError", "EUNREAD", "14 octets the server sent in clear are unread"],
		"+OK injected\r\n"]`, v.run(connect+`
		await c.read();
		await c.write(octets('STLS\r\n'));
		await injected;
		const refused = await failure(c.startTLS({ serverName: null, identity: 'mail.example.com' }, 20000));
		const unread = text(await c.read());
		c.close();
		return [refused, unread];`))
}

// What a server says unasked would be taken for the answer.
func TestNothingIsWrittenWhileOctetsInClearAreUnread(t *testing.T) {
	v := newVirtualUser(t)
	said := v.event("said")
	v.at(testserver.Serve(t, func(conn net.Conn) {
		say(conn, "-ERR idle for too long\r\n")
		said()
		hear(conn)
		say(conn, "+OK\r\n")
		hold(conn)
	}))
	require.JSONEq(t, `["EUNREAD", "-ERR idle for too long\r\n", "+OK\r\n"]`, v.run(connect+`
		await said;
		const refused = await codeOf(c.write(octets('STAT\r\n')));
		const unread = text(await c.read());
		await c.write(octets('STAT\r\n'));
		const answer = text(await c.read());
		c.close();
		return [refused, unread, answer];`))
}

func TestACountingDialerDoesNotHideUnreadOctets(t *testing.T) {
	v := newVirtualUser(t)
	v.vu.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return counting{conn}, err
	}
	said := v.event("said")
	v.at(testserver.Serve(t, func(conn net.Conn) { say(conn, "+OK ready\r\n"); said(); hold(conn) }))
	require.JSONEq(t, `"EUNREAD"`, v.run(connect+`
		await said;
		const code = await codeOf(c.startTLS({ serverName: null, identity: 'mail.example.com' }, 20000));
		c.close();
		return code;`))
}

type counting struct{ net.Conn }

func (c counting) Unwrap() net.Conn { return c.Conn }

func TestUselessPEMIsRefusedBeforeAnythingIsSent(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) { say(conn, "+OK\r\n"); hold(conn) }))
	require.JSONEq(t, `["EPEM", "EPEM", "+OK\r\n"]`, v.run(connect+`
		const identity = 'mail.example.com';
		const both = [
			await codeOf(c.startTLS({ serverName: null, identity, ca: 'no certificate' })),
			await codeOf(c.startTLS({ serverName: null, identity, clientCertificate: { certificate: 'a', key: 'b' } })),
		];
		const said = text(await c.read());
		c.close();
		return [...both, said];`))
}

func TestASilentServerTimesOutAndTheSessionGoesOn(t *testing.T) {
	for _, title := range []string{"in clear", "over TLS"} {
		t.Run(title, func(t *testing.T) {
			isSecured := title == "over TLS"
			server := &tls.Config{Certificates: []tls.Certificate{testserver.SelfSigned(t, testserver.Wanted{})}}
			v := newVirtualUser(t)
			v.set("isSecured", isSecured)
			v.at(testserver.Serve(t, func(conn net.Conn) {
				if isSecured {
					conn = tls.Server(conn, server)
				}
				hear(conn)
				say(conn, "+OK awake\r\n")
				hold(conn)
			}))
			require.JSONEq(t, `[[true, "TransportError", "ETIMEDOUT", "it took too long"], "+OK awake\r\n", true]`, v.run(connect+`
				if (isSecured) await c.startTLS({ serverName: null, identity: 'mail.example.com', insecure: true });
				const begun = pop3.now();
				const silent = await failure(c.read(150));
				const took = pop3.now() - begun;
				await c.write(octets('NOOP\r\n'));
				const said = text(await c.read());
				c.close();
				return [silent, said, took >= 149];`))
		})
	}
}

func TestAServerThatDoesNotReadTimesOutAndIsDoneWith(t *testing.T) {
	v := newVirtualUser(t)
	at := testserver.Serve(t, func(conn net.Conn) {
		<-t.Context().Done() // before the server is ended
	})
	v.at(at)
	require.JSONEq(t, `["ETIMEDOUT", "ECLOSED", "ECLOSED"]`, v.run(connect+`
		const codes = [
			await codeOf(c.write(new Uint8Array(64 * 1024 * 1024), 300)),
			await codeOf(c.write(octets('QUIT\r\n'))),
			await codeOf(c.read()),
		];
		c.close();
		return codes;`))
}

func TestTheEndOfAConnection(t *testing.T) {
	for _, row := range []struct {
		title    string
		serve    func(net.Conn)
		expected string
	}{
		{"closed in the middle of a line", func(conn net.Conn) { hear(conn); say(conn, "+OK rea") }, `["+OK rea", null]`},
		{"reset", func(conn net.Conn) {
			hear(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, `["ECONNRESET"]`},
	} {
		t.Run(row.title, func(t *testing.T) {
			v := newVirtualUser(t)
			v.at(testserver.Serve(t, row.serve))
			require.JSONEq(t, row.expected, v.run(connect+`
				const seen = [];
				await c.write(octets('NOOP\r\n'));
				try {
					for (;;) {
						const some = await c.read(20000);
						seen.push(some === null ? null : text(some));
						if (some === null) break;
					}
				} catch (error) {
					seen.push(error.code);
				}
				c.close();
				return seen;`))
		})
	}
}

func TestClosingEndsWhatIsUnderWay(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, hold))
	require.JSONEq(t, `["ECLOSED", "ECLOSED", "ECLOSED", "ECLOSED"]`, v.run(connect+`
		const reading = codeOf(c.read());
		c.close();
		c.close();
		return [
			await reading, await codeOf(c.read()), await codeOf(c.write(octets('x'))),
			await codeOf(c.startTLS({ serverName: null, identity: 'mail.example.com' })),
		];`))
	require.Len(t, v.values(script.Duration), 1)
}

func TestASecondOperationAtOnceIsRefused(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) { hear(conn); say(conn, "+OK\r\n"); hold(conn) }))
	require.JSONEq(t, `[[true, "TransportError", "EBUSY", "another operation is under way on this connection"], "EBUSY",
		"ETIMEDOUT", "+OK\r\n"]`, v.run(connect+`
		const reading = codeOf(c.read(300));
		const second = await failure(c.write(octets('NOOP\r\n')));
		const third = await codeOf(c.read());
		const first = await reading;
		await c.write(octets('NOOP\r\n'));
		const said = text(await c.read());
		c.close();
		return [second, third, first, said];`))
}

func TestTheEndOfTheIterationClosesWhatWasLeft(t *testing.T) {
	gone := make(chan error, 1)
	serve := func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		gone <- err
	}
	t.Run("with nothing under way", func(t *testing.T) {
		v := newVirtualUser(t)
		v.at(testserver.Serve(t, serve))
		v.run(`globalThis.left = await pop3.connect({ host, port });`) // and no callback holds the iteration up
		v.end()
		require.ErrorIs(t, <-gone, io.EOF)
		require.JSONEq(t, `"ECLOSED"`, v.run(`return await codeOf(left.read());`))
	})
	t.Run("with a read under way", func(t *testing.T) {
		v := newVirtualUser(t)
		v.at(testserver.Serve(t, serve))
		time.AfterFunc(200*time.Millisecond, v.end)
		require.JSONEq(t, `"ECLOSED"`, v.run(connect+`return await codeOf(c.read());`))
		require.ErrorIs(t, <-gone, io.EOF)
	})
	t.Run("while it connects", func(t *testing.T) {
		v := newVirtualUser(t)
		v.vu.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		time.AfterFunc(100*time.Millisecond, v.end)
		require.JSONEq(t, `"ECLOSED"`, v.run(`return await codeOf(pop3.connect({ host: 'mail.example.com', port: 110 }));`))
	})
	t.Run("while it looks a name up", func(t *testing.T) {
		v := newVirtualUser(t)
		over := make(chan struct{})
		v.vu.Resolve = func(string, int) (net.IP, error) { <-over; return nil, errors.New("nobody asks any more") }
		t.Cleanup(func() { close(over) })
		time.AfterFunc(100*time.Millisecond, v.end)
		require.JSONEq(t, `"ECLOSED"`, v.run(`return await codeOf(pop3.resolve('mail.example.com'));`))
	})
}

func TestAResolverThatKeepsSilentHoldsUpNobody(t *testing.T) {
	v := newVirtualUser(t)
	over, asked := make(chan struct{}), make(chan int, 1)
	v.vu.Resolve = func(_ string, port int) (net.IP, error) {
		asked <- port
		<-over
		return nil, errors.New("nobody asks any more")
	}
	t.Cleanup(func() { close(over) })
	require.JSONEq(t, `"ETIMEDOUT"`, v.run(
		`return await codeOf(pop3.resolve('mail.example.com', { port: 110, timeoutMs: 50 }));`))
	require.Equal(t, 110, <-asked)
}

func TestConnectingAsTheDialerSays(t *testing.T) {
	type call struct{ network, address string }
	for _, row := range []struct {
		title, destination string
		dialled            call
		fails              error
		code               string
	}{
		{"a name is the dialer's affair", `{ host: 'mail.example.com', port: 110 }`, call{"tcp", "mail.example.com:110"}, link.Fail(link.Blocked), "EBLOCKED"},
		{"IPv4 alone", `{ host: 'mail.example.com', port: 995, family: 4 }`, call{"tcp4", "mail.example.com:995"}, &net.DNSError{IsNotFound: true}, "ENOTFOUND"},
		{"IPv6 alone", `{ host: '2001:db8::a', port: 110, family: 6 }`, call{"tcp6", "[2001:db8::a]:110"}, &net.DNSError{}, "EDNS"},
		{"anything unknown", `{ host: '192.0.2.7', port: 110 }`, call{"tcp", "192.0.2.7:110"}, errors.New("odd"), "EIO"},
	} {
		t.Run(row.title, func(t *testing.T) {
			dialled := make(chan call, 1)
			v := newVirtualUser(t)
			v.vu.Dial = func(_ context.Context, network, address string) (net.Conn, error) {
				dialled <- call{network, address}
				return nil, row.fails
			}
			require.JSONEq(t, `"`+row.code+`"`, v.run(`return await codeOf(pop3.connect(`+row.destination+`));`))
			require.Equal(t, row.dialled, <-dialled)
			require.Empty(t, v.values(script.Sockets))
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		v := newVirtualUser(t)
		v.at(listener.Addr().(*net.TCPAddr))
		require.NoError(t, listener.Close())
		require.JSONEq(t, `[true, "TransportError", "ECONNREFUSED", "the connection was refused"]`,
			v.run(`return await failure(pop3.connect({ host, port }));`))
	})
	t.Run("nobody answers", func(t *testing.T) {
		v := newVirtualUser(t)
		v.vu.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		require.JSONEq(t, `"ETIMEDOUT"`,
			v.run(`return await codeOf(pop3.connect({ host: '192.0.2.7', port: 110, timeoutMs: 100 }));`))
	})
	t.Run("an address of the other family", func(t *testing.T) {
		v := newVirtualUser(t)
		require.JSONEq(t, `[true, "TransportError", "ENOTFOUND", "no address of that family"]`,
			v.run(`return await failure(pop3.connect({ host: '::1', port: 110, family: 4 }));`))
	})
}

func TestResolvingAsK6Does(t *testing.T) {
	v := newVirtualUser(t)
	require.JSONEq(t, `[["192.0.2.7"], ["192.0.2.7"], "ENOTFOUND", ["2001:db8::a"], "ENOTFOUND"]`, v.run(`return [
		await pop3.resolve('mail.example.com'), await pop3.resolve('mail.example.com', { family: 4 }),
		await codeOf(pop3.resolve('mail.example.com', { family: 6 })), await pop3.resolve('2001:db8::a'),
		await codeOf(pop3.resolve('2001:db8::a', { family: 4 })),
	];`))
	v.vu.Resolve = func(string, int) (net.IP, error) { return nil, &net.DNSError{IsNotFound: true} }
	require.JSONEq(t, `"ENOTFOUND"`, v.run(`return await codeOf(pop3.resolve('nowhere.example.com'));`))
}

func TestWhatIsMeasured(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, hold))
	v.run(`const c = await pop3.connect({ host, port, tags: { site: 'hamburg', number: 7 } }); c.close();`)
	tags := map[string]string{"site": "hamburg", "number": "7"}
	require.Equal(t, []float64{1}, v.values(script.Sockets))
	require.Len(t, v.measured, 3)
	for _, each := range v.measured {
		require.Equal(t, tags, each.tags)
	}
	for _, metric := range []script.Metric{script.Connecting, script.Duration} {
		require.Len(t, v.values(metric), 1)
		require.Greater(t, v.values(metric)[0], 0.0) // milliseconds with fractions: loopback is no 0
		require.Less(t, v.values(metric)[0], 20_000.0)
	}
}

func TestMistakesAreThrownAtOnce(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, hold))
	for _, row := range []struct{ call, message string }{
		{`pop3.connect()`, "connect wants an object with host, port, family, tags, timeoutMs"},
		{`pop3.connect({ port: 110 })`, "host is to be a text"},
		{`pop3.connect({ host: 'a b', port: 110 })`, "host is to be a name or an address"},
		{`pop3.connect({ host: '[::1]', port: 110 })`, "host is to be a name or an address"},
		{`pop3.connect({ host: 'a', port: 0 })`, "port is to be a whole number from 1 to 65535"},
		{`pop3.connect({ host: 'a', port: '110' })`, "port is to be a number"},
		{`pop3.connect({ host: 'a', port: 1.5 })`, "port is to be a whole number from 1 to 65535"},
		{`pop3.connect({ host: 'a', port: 1, family: 5 })`, "family is to be 0, 4 or 6"},
		{`pop3.connect({ host: 'a', port: 1, timeoutMs: NaN })`, "timeoutMs is to be from 0 to 2147483647"},
		{`pop3.connect({ host: 'a', port: 1, timeoutMs: -1 })`, "timeoutMs is to be from 0 to 2147483647"},
		{`pop3.connect({ host: 'a', port: 1, tags: 'x' })`, "tags is to be an object"},
		{`pop3.connect({ host: 'a', port: 1, tls: true })`, "connect knows no tls, only host, port, family, tags, timeoutMs"},
		{`pop3.resolve(7)`, "host is to be a text"},
		{`c.read('1 s')`, "timeoutMs is to be a number"},
		{`c.write('QUIT')`, "octets is to be a Uint8Array or an ArrayBuffer"},
		{`c.write([1, 2])`, "octets is to be a Uint8Array or an ArrayBuffer"},
		{`c.startTLS()`, "startTLS wants an object with serverName, identity, ca, pins, clientCertificate, insecure"},
		{`c.startTLS({ serverName: null })`, "identity is to be a text"},
		{`c.startTLS({ serverName: null, identity: 'a', insecure: 1 })`, "insecure is to be true or false"},
		{`c.startTLS({ serverName: null, identity: 'a', pins: ['ab'] })`, "a pin is the SHA-256 of a certificate, 64 hexadecimal digits"},
		{`pop3.pbkdf2(octets('a'), octets('b'), 1000001, 20, 'sha1')`, "iterations is to be a whole number from 1 to 1000000"},
		{`pop3.pbkdf2(octets('a'), octets('b'), 1, 20, 'md5')`, "algorithm is to be sha1, sha256 or sha512"},
	} {
		v.set("expected", "k6/x/pop3: "+row.message)
		require.JSONEq(t, `[true, true]`, v.run(connect+`
			const [isTypeError, message] = thrown(() => `+row.call+`);
			c.close();
			return [isTypeError, message === expected || message];`), row.call)
	}
}

func TestTheInitContextIsRefused(t *testing.T) {
	v := newVirtualUser(t)
	v.vu = nil
	for _, call := range []string{
		`pop3.connect({ host: 'a', port: 110 })`, `pop3.resolve('a')`, `pop3.pbkdf2(octets('a'), octets('b'), 1, 20, 'sha1')`,
	} {
		require.Contains(t, v.run(`return thrown(() => `+call+`);`), "is not for the init context; call it from a VU's function")
	}
	require.JSONEq(t, `true`, v.run(`return pop3.now() > 0;`))
}

// RFC 6070 §2.
func TestPBKDF2(t *testing.T) {
	v := newVirtualUser(t)
	require.JSONEq(t, `["0c60c80f961f0e71f3a9b524af6012062fe037a6", "4b007901b765489abead49d926f721d065a429c1", true]`, v.run(`
		const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('');
		const made = (iterations) => pop3.pbkdf2(octets('password'), octets('salt'), iterations, 20, 'sha1');
		return [hex(await made(1)), hex(await made(4096)), (await made(1)) instanceof Uint8Array];`))
	v.end()
	require.JSONEq(t, `"ECLOSED"`, v.run(`return await codeOf(pop3.pbkdf2(octets('a'), octets('b'), 50000, 64, 'sha512'));`))
}

func TestTheClockHasFractionsAndNeverGoesBack(t *testing.T) {
	v := newVirtualUser(t)
	require.JSONEq(t, `[true, true]`, v.run(`
		const times = Array.from({ length: 1000 }, () => pop3.now());
		return [times.every((time, at) => at === 0 || time >= times[at - 1]), times.some((time) => time % 1 !== 0)];`))
}

// k6's scripts may do as they like with the names of JavaScript.
func TestAScriptThatRenamesConstructorsGetsRealOnes(t *testing.T) {
	v := newVirtualUser(t)
	v.at(testserver.Serve(t, func(conn net.Conn) { say(conn, "+OK\r\n") }))
	require.JSONEq(t, `[true, true]`, v.run(`
		const RealError = Error, RealArray = Uint8Array;
		globalThis.Error = globalThis.Uint8Array = class {};
		const c = await pop3.connect({ host, port });
		const said = await c.read();
		let caught;
		try { c.close(); await c.read(); } catch (error) { caught = error; }
		return [said instanceof RealArray, caught instanceof RealError];`))
}
