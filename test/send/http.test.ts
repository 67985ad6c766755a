import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer as createPlainServer, type Server as PlainServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { text, utf8 } from '../../src/dialogue/bytes.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { type HttpRequest, type Posting, post } from '../../src/runtimes/node/http.ts';
import { type Authority, createAuthority, type Identity, selfSign } from '../../src/sandbox/authority.ts';
import { privateFolder } from '../support/run.ts';

const DAY_MS = 86_400_000;
const MIB = 1 << 20;

let authority: Authority;
let identity: Identity;
beforeAll(async () => {
  authority = await createAuthority('throw-away CA');
  identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
});

const open: (PlainServer | Server)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** A server on a free port of 127.0.0.1, ended with the test. */
async function listen<T extends PlainServer | Server>(server: T): Promise<{ server: T; port: number }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  const close = server.close.bind(server);
  server.close = (done) => {
    for (const socket of sockets) socket.destroy();
    return close(done);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(server);
  return { server, port: (server.address() as AddressInfo).port };
}

interface Heard {
  readonly request: IncomingMessage;
  readonly body: Buffer;
}

/** An HTTPS server that notes what it hears and answers it. */
async function serve(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
  options: ServerOptions = {},
): Promise<{ port: number; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer({ cert: identity.certificate, key: identity.key, ...options }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      heard.push({ request, body: Buffer.concat(parts) });
      answer(response, request);
    });
  });
  const { port } = await listen(server);
  return { port, heard };
}

/** A server that speaks TLS and then whatever it likes. */
async function serveRaw(speak: (socket: TLSSocket) => void, options: TlsOptions = {}): Promise<number> {
  const server = createTlsServer({ cert: identity.certificate, key: identity.key, ...options }, (socket) => {
    socket.on('error', () => undefined);
    speak(socket);
  });
  return (await listen(server)).port;
}

/** `once` would reject, for a connection that is let go of may end in an error. */
const closeOf = (socket: Socket): Promise<void> => new Promise((resolve) => socket.on('close', () => resolve()));

const postTo = (port: number, more: Partial<HttpRequest> = {}): Posting =>
  post({
    url: `https://localhost:${port}/`,
    headers: {},
    body: utf8('x'),
    terms: { family: 0, proxy: null, authorities: authority.certificate },
    ...more,
  });

const failureOf = async (posting: Posting): Promise<ProbeFailure> => {
  const problem = await posting.done.then(
    (answer) => expect.unreachable(`answered ${answer.status}`),
    (reason: unknown) => reason,
  );
  expect(problem).toBeInstanceOf(ProbeFailure);
  return problem as ProbeFailure;
};

describe('a request', () => {
  test('goes out as it was given, whole, and on a connection of its own', async () => {
    const { port, heard } = await serve((response) => response.end());
    const body = Uint8Array.from({ length: 100_000 }, (_, at) => at & 0xff);
    await postTo(port, {
      url: `https://localhost:${port}/users/a%40b/send?x=%2F&y`,
      headers: { 'Content-Type': 'text/plain', Authorization: 'Bearer not-a-real-token' },
      body,
    }).done;
    expect(heard).toHaveLength(1);
    const [{ request, body: arrived }] = heard as [Heard];
    expect([request.method, request.url, request.httpVersion]).toEqual(['POST', '/users/a%40b/send?x=%2F&y', '1.1']);
    expect(request.headers).toEqual({
      'content-type': 'text/plain',
      authorization: 'Bearer not-a-real-token',
      'content-length': '100000',
      host: `localhost:${port}`,
      connection: 'close',
    });
    expect(arrived.equals(body)).toBe(true);
  });

  test('may have no body', async () => {
    const { port, heard } = await serve((response) => response.end());
    await postTo(port, { body: new Uint8Array(0) }).done;
    expect(heard[0]?.request.headers).toMatchObject({ 'content-length': '0' });
  });

  test('may name an address', async () => {
    const { port } = await serve((response) => response.end('by address'));
    expect(await postTo(port, { url: `https://127.0.0.1:${port}` }).done).toMatchObject({ body: 'by address' });
  });

  test.each([
    ['in clear', (port: number) => `http://localhost:${port}/`, 'the URL must begin with https:, not http:'],
    ['to a file', () => 'file:///etc/passwd', 'the URL must begin with https:, not file:'],
    ['to nowhere', () => 'mail.example.com/EWS', 'the URL cannot be read'],
    ['with a password in the URL', (port: number) => `https://me:pw@localhost:${port}/`, 'must not hold a user name'],
  ])('%s is refused, and nothing is sent', async (_, urlFor, message) => {
    const { server, port } = await listen(createPlainServer());
    const connected = vi.fn();
    server.on('connection', connected);
    const posting = postTo(port, { url: urlFor(port) });
    expect(await failureOf(posting)).toMatchObject({
      reason: 'configuration',
      message: expect.stringContaining(message),
    });
    expect(posting.wasSent()).toBe(false);
    expect(connected).not.toHaveBeenCalled();
  });

  test.each(['line\nbreak', 'line\rbreak', 'n\0l', 'snowman ☃'])('with %j in a header is refused', async (value) => {
    const { port, heard } = await serve((response) => response.end());
    const failure = await failureOf(postTo(port, { headers: { Authorization: `Bearer ${value}` } }));
    expect(failure).toMatchObject({ reason: 'configuration', message: expect.stringContaining('Authorization') });
    expect(failure.message).not.toContain(value);
    expect(heard).toEqual([]);
  });
});

describe('an answer', () => {
  test.each([200, 202, 204, 400, 401, 429, 500, 503, 599])('of status %i is an answer', async (status) => {
    const { port } = await serve((response) => response.writeHead(status, { 'Retry-After': '7' }).end());
    expect(await postTo(port).done).toMatchObject({ status, headers: { 'retry-after': '7' }, body: '' });
  });

  test.each([301, 302, 303, 307, 308])('of status %i is not followed', async (status) => {
    const elsewhere = await serve((response) => response.end());
    const { port } = await serve((response) =>
      response.writeHead(status, { Location: `https://localhost:${elsewhere.port}/` }).end('moved'),
    );
    expect(await postTo(port).done).toMatchObject({ status, body: 'moved' });
    expect(elsewhere.heard).toEqual([]);
  });

  test('is read as UTF-8, however it was cut', async () => {
    const { port } = await serve((response) => {
      const octets = Buffer.from('Zugriff verweigert: Schlüssel ungültig', 'utf8');
      response.write(octets.subarray(0, octets.indexOf(0xc3) + 1));
      setTimeout(() => response.end(octets.subarray(octets.indexOf(0xc3) + 1)), 20);
    });
    expect(await postTo(port).done).toMatchObject({ body: 'Zugriff verweigert: Schlüssel ungültig' });
  });

  test('may be of a mebibyte', async () => {
    const { port } = await serve((response) => response.end(Buffer.alloc(MIB, 'a')));
    expect((await postTo(port).done).body).toHaveLength(MIB);
  });

  test.each([
    ['longer than that', (response: ServerResponse) => response.end(Buffer.alloc(MIB + 1, 'a'))],
    [
      'without an end',
      (response: ServerResponse) => {
        const more = (error?: Error | null): void => {
          if (!error) response.write(Buffer.alloc(65_536, 'a'), more);
        };
        more();
      },
    ],
  ])('%s is not read on, and the connection is closed', async (_, answer) => {
    let closed: Promise<void> | undefined;
    const { port } = await serve((response, request) => {
      closed = closeOf(request.socket);
      answer(response);
    });
    expect(await failureOf(postTo(port))).toMatchObject({
      reason: 'protocol-violation',
      message: 'the answer is longer than 1048576 octets',
    });
    await expect(closed).resolves.toBeUndefined();
  });

  test('that is not HTTP is a failure', async () => {
    const port = await serveRaw((socket) => socket.end('+OK POP3 ready\r\n'));
    expect(await failureOf(postTo(port))).toMatchObject({
      reason: 'protocol-violation',
      message: expect.stringMatching(/^the answer is not HTTP \(HPE_/),
    });
  });

  test('that wants to change the protocol is a failure', async () => {
    const port = await serveRaw((socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'),
    );
    expect(await failureOf(postTo(port))).toMatchObject({ reason: 'hung-up' });
  });

  test('that breaks off is a failure', async () => {
    const port = await serveRaw((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it')),
    );
    const posting = postTo(port);
    expect(await failureOf(posting)).toMatchObject({ reason: 'hung-up' });
    expect(posting.wasSent()).toBe(true);
  });
});

describe('a connection that is lost', () => {
  test('in the TLS handshake lost nothing', async () => {
    const { port } = await listen(createPlainServer((socket) => socket.destroy()));
    const posting = postTo(port);
    expect(await failureOf(posting)).toMatchObject({ reason: 'hung-up' });
    expect(posting.wasSent()).toBe(false);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'right after the handshake of %s is not waited for',
    async (maxVersion) => {
      const port = await serveRaw((socket) => socket.destroy(), { maxVersion });
      expect(await failureOf(postTo(port))).toMatchObject({ reason: 'hung-up' });
    },
  );

  test('before the last octet was sent leaves no doubt', async () => {
    const port = await serveRaw((socket) => socket.once('data', () => socket.destroy()));
    // More than the sockets on the way hold, so that some of it is still here.
    const posting = postTo(port, { body: new Uint8Array(64 * MIB) });
    expect(await failureOf(posting)).toMatchObject({ reason: 'hung-up' });
    expect(posting.wasSent()).toBe(false);
  });

  test('after it, and before the answer, leaves one', async () => {
    const { port, heard } = await serve((_, request) => request.socket.destroy());
    const posting = postTo(port);
    expect(await failureOf(posting)).toMatchObject({ reason: 'hung-up' });
    expect(posting.wasSent()).toBe(true);
    expect(heard).toHaveLength(1);
  });
});

describe('a server that is not there', () => {
  test('refuses', async () => {
    const closed = 1; // a port that was free a moment ago may be somebody's by now
    expect(await failureOf(postTo(closed, { url: 'https://127.0.0.1:1/' }))).toMatchObject({
      reason: 'connection-refused',
      message: '127.0.0.1 port 1: the connection was refused (ECONNREFUSED)',
    });
  });

  test('has no address', async () => {
    const failure = await failureOf(postTo(1, { url: 'https://nowhere.invalid/' }));
    expect(failure.message).toContain('nowhere.invalid');
    expect(failure.reason).toMatch(/^dns-(not-found|unavailable)$/); // by whether there is a resolver
  });

  test('has none of the family asked for', async () => {
    const { port } = await serve((response) => response.end());
    const terms = { family: 6, proxy: null, authorities: authority.certificate } as const;
    // ::1, where nobody listens, or no address at all.
    expect((await failureOf(postTo(port, { terms }))).reason).toMatch(/^(connection-refused|dns-|unreachable|local-)/);
  });
});

describe('a server that does not prove who it is', () => {
  const wrong: readonly (readonly [string, () => Promise<Identity>, string])[] = [
    ['unknown to us', async () => (await createAuthority('another CA')).issue({ names: ['localhost'] }), 'untrusted'],
    ['vouching for itself', () => selfSign(['localhost']), 'untrusted'],
    ['with another name', () => authority.issue({ names: ['mail.example.com'] }), 'wrong-host'],
    [
      'with the name where it does not count',
      () => authority.issue({ names: [], commonName: 'localhost' }),
      'wrong-host',
    ],
    [
      'with an expired certificate',
      () =>
        authority.issue({
          names: ['localhost'],
          notBefore: new Date(Date.now() - 30 * DAY_MS),
          notAfter: new Date(Date.now() - DAY_MS),
        }),
      'expired',
    ],
    [
      'with a certificate of tomorrow',
      () => authority.issue({ names: ['localhost'], notBefore: new Date(Date.now() + DAY_MS) }),
      'not-yet-valid',
    ],
    ['with a client certificate', () => authority.issue({ names: ['localhost'], usage: 'client' }), 'untrusted'],
    ['with a weak key', () => authority.issue({ names: ['localhost'], keyType: 'rsa1024' }), 'weak'],
  ];

  describe.each([undefined, '0'])('with NODE_TLS_REJECT_UNAUTHORIZED=%s', (setting) => {
    test.each(wrong)('%s gets nothing', async (_, issue, reason) => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', setting);
      const { certificate, key } = await issue();
      // OpenSSL would not let a server have the weak one.
      const { port, heard } = await serve((response) => response.end(), { cert: certificate, key, ...LAX });
      const posting = postTo(port);
      expect(await failureOf(posting)).toMatchObject({ reason: `certificate-${reason}` });
      expect(posting.wasSent()).toBe(false);
      expect(heard).toEqual([]);
    });
  });

  test('is not trusted because others of its name are: authorities replace the usual ones', async () => {
    const { port, heard } = await serve((response) => response.end());
    const another = (await createAuthority('another CA')).certificate;
    const [byAnother, byUsual] = await Promise.all(
      [another, null].map((authorities) => failureOf(postTo(port, { terms: { family: 0, proxy: null, authorities } }))),
    );
    expect([byAnother?.reason, byUsual?.reason]).toEqual(['certificate-untrusted', 'certificate-untrusted']);
    expect(heard).toEqual([]);
  });

  test('is trusted where the system trusts it', async () => {
    const folder = privateFolder();
    const bundle = join(folder.path, 'ca.pem');
    writeFileSync(bundle, authority.certificate);
    vi.stubEnv('SSL_CERT_FILE', bundle);
    const { port } = await serve((response) => response.end());
    expect(await postTo(port, { terms: { family: 0, proxy: null, authorities: null } }).done).toMatchObject({
      status: 200,
    });
  });
});

/** OpenSSL on the server's side, without today's demands. */
const LAX: ServerOptions = { ciphers: 'DEFAULT@SECLEVEL=0' };

describe('TLS', () => {
  test('older than 1.2 is none', async () => {
    const { port, heard } = await serve((response) => response.end(), {
      ...LAX,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
    });
    expect(await failureOf(postTo(port))).toMatchObject({
      reason: 'tls-failed',
      message: expect.stringContaining('the server has no TLS 1.2 or later'),
    });
    expect(heard).toEqual([]);
  });

  test('is missed on a port that has none', async () => {
    const { port } = await listen(createPlainServer((socket) => socket.write('220 mail.example.com ESMTP\r\n')));
    expect(await failureOf(postTo(port))).toMatchObject({
      reason: 'tls-failed',
      message: 'the server does not speak TLS on this port',
    });
  });
});

describe('a request that is given up', () => {
  const settled = (posting: Posting): Promise<string> =>
    Promise.race([
      posting.done.then(
        () => 'answered',
        () => 'failed',
      ),
      new Promise<string>((resolve) => setTimeout(resolve, 150, 'neither')),
    ]);

  test('while the server thinks closes the connection', async () => {
    let closed: Promise<void> | undefined;
    const { port, heard } = await serve((_, request) => {
      closed = closeOf(request.socket);
    });
    const posting = postTo(port);
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    posting.abandon();
    await expect(closed).resolves.toBeUndefined();
    expect(await settled(posting)).toBe('neither');
  });

  test('while an answer drips in closes the connection', async () => {
    let closed: Promise<void> | undefined;
    const { port, heard } = await serve((response, request) => {
      closed = closeOf(request.socket);
      const drip = setInterval(() => response.write('.'), 5);
      request.socket.on('close', () => clearInterval(drip));
    });
    const posting = postTo(port);
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    posting.abandon();
    await expect(closed).resolves.toBeUndefined();
    expect(await settled(posting)).toBe('neither');
  });

  test.each([
    ['at once', 0],
    ['in the TLS handshake', 60],
  ])('%s never sends', async (_, afterMs) => {
    const heard: string[] = [];
    const { server, port } = await listen(createPlainServer()); // silent: the handshake does not come to its end
    server.on('connection', (socket: Socket) => {
      socket.on('data', (octets: Buffer) => heard.push(text(octets)));
      socket.on('close', () => heard.push('closed'));
    });
    const posting = postTo(port);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    posting.abandon();
    expect(await settled(posting)).toBe('neither');
    expect(posting.wasSent()).toBe(false);
    if (heard.length > 0) expect(heard[heard.length - 1]).toBe('closed');
    if (afterMs > 0) expect(heard).toContain('closed');
  });
});
