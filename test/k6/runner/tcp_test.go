package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// served runs the body of an async function with a `socket` that was connected to a server.
func served(t *testing.T, serve func(net.Conn), body string, change func(*Plan)) came {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				serve(conn)
				_ = conn.Close()
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return runScript(t, `
		import { Socket } from 'k6/x/tcp';
		const text = (octets) => String.fromCharCode(...new Uint8Array(octets));
		const next = (socket, event) => new Promise((resolve) => socket.on(event, resolve));
		export default async function () {
			const host = '127.0.0.1';
			const port = Number(__ENV.PORT);
			const socket = new Socket({ tags: { site: 'one' } });
			`+body+`
		}`, func(p *Plan) {
		p.Env["PORT"] = port
		p.Limit = 10 * time.Second
		if change != nil {
			change(p)
		}
	})
}

func hold(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

func TestASocketSpeaksAndHears(t *testing.T) {
	c := served(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("+OK ready\r\n"))
		line, _ := bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write([]byte("heard " + line))
	}, `
		const data = next(socket, 'data');
		await socket.connect({ host, port });
		console.log([socket.connected, socket.ready_state, socket.remote_ip, socket.remote_port === port]);
		console.log(await data.then(text).then((said) => said.length));
		const more = new Promise((resolve) => socket.on('data', (octets) => resolve(text(octets))));
		const closed = next(socket, 'close');
		await socket.write(Uint8Array.of(81, 13, 10).buffer);
		console.log(await more);
		await closed;
		console.log([socket.connected, socket.ready_state, socket.bytes_written, socket.bytes_read]);`, nil)
	require.NoError(t, c.err)
	require.Empty(t, c.Errors)
	require.Equal(t, "[true,\"open\",\"127.0.0.1\",true]\n11\nheard Q\r\n\n[false,\"destroyed\",3,20]\n", c.console)
	require.Equal(t, []float64{1}, c.values("tcp_sockets"))
	for _, each := range c.points {
		if strings.HasPrefix(each.Metric, "tcp_") {
			require.Equal(t, "one", each.Data.Tags["site"])
			require.Equal(t, each.Data.Value, float64(int(each.Data.Value)), each.Metric)
		}
	}
}

func TestWhatArrivesIsNoUint8ArrayAndIsUsedAgain(t *testing.T) {
	c := served(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte(strings.Repeat("a", 3*largestChunk)))
		hold(conn)
	}, `
		const kept = [];
		let length = 0;
		const all = new Promise((resolve) => socket.on('data', (octets) => {
			if (kept.length === 0) console.log([Object.prototype.toString.call(octets), octets instanceof Uint8Array, octets.byteLength, octets[0]]);
			kept.push(octets);
			length += octets.length;
			if (length === 3 * 4096) resolve();
		}));
		await socket.connect(port, host);
		await all;
		await new Promise((resolve) => setTimeout(resolve, 1));
		socket.destroy();
		console.log([kept.every((each) => each.length <= 4096), kept.every((each) => text(each) === 'X'.repeat(each.length))]);`, nil)
	require.Equal(t, "[\"[object Array]\",false,null,97]\n[true,true]\n", c.console)
}

func TestThereIsOneHandlerForAnEvent(t *testing.T) {
	c := served(t, hold, `
		socket.on('close', () => console.log('first'));
		socket.on('close', () => console.log('second'));
		socket.destroy();
		socket.destroy();`, nil)
	require.Equal(t, "second\n", c.console)
}

func TestAConnectionRefusedIsNoErrorAndToldTwice(t *testing.T) {
	c := served(t, hold, `
		socket.on('error', (error) => console.log(['event', error.name, error.method]));
		try {
			await socket.connect({ host, port: 1 });
		} catch (error) {
			console.log(['rejected', error instanceof Error, error.name, error.method, /connection refused/.test(error.message)]);
		}
		socket.destroy();`, nil)
	require.Equal(t, "[\"event\",\"TCPError\",\"connect\"]\n[\"rejected\",false,\"TCPError\",\"connect\",true]\n", c.console)
	require.Equal(t, []float64{1}, c.values("tcp_errors"))
}

func TestAWriteWithoutAConnectionHasNoMessage(t *testing.T) {
	c := served(t, hold, `
		try {
			await socket.write('x');
		} catch (error) {
			console.log([error instanceof Error, error.message === undefined, String(error)]);
		}
		socket.destroy();`, nil)
	require.Equal(t, "[false,true,\"no active connection\"]\n", c.console)
}

func TestASocketThatIsNotDestroyedHoldsUpTheIteration(t *testing.T) {
	for title, body := range map[string]string{
		"open":            `await socket.connect({ host, port });`,
		"never connected": ``,
		"refused":         `await socket.connect({ host, port: 1 }).catch(() => undefined);`,
	} {
		t.Run(title, func(t *testing.T) {
			c := served(t, hold, body, func(p *Plan) { p.Limit = 300 * time.Millisecond })
			require.Equal(t, 1, c.Interrupted)
			require.Zero(t, max(0, c.Sockets))
		})
	}
}

func TestSilenceIsToldAgainAndAgain(t *testing.T) {
	c := served(t, hold, `
		let times = 0;
		socket.on('timeout', () => { if (++times === 3) socket.destroy(); });
		await socket.connect({ host, port });
		socket.setTimeout(20);
		await next(socket, 'close');
		console.log(times);`, nil)
	require.Equal(t, "3\n", c.console)
}

func TestTextsHaveAnEncoding(t *testing.T) {
	heard := make(chan string, 1)
	c := served(t, func(conn net.Conn) {
		line, _ := bufio.NewReader(conn).ReadString('\n')
		heard <- line
	}, `
		await socket.connect({ host, port });
		await socket.write('é');
		await socket.write('YQ==', { encoding: 'base64' });
		await socket.write('620a', { encoding: 'hex' });
		socket.destroy();`, nil)
	require.Empty(t, c.Errors)
	require.Equal(t, "éab\n", <-heard)
}
