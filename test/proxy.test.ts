import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Address } from '../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { Secret } from '../src/dialogue/secret.ts';
import type { LinkTerms, ProxyPlan } from '../src/probe/world.ts';
import { type Posting, post } from '../src/runtimes/node/http.ts';
import { NodeLink } from '../src/runtimes/node/link.ts';
import { createAuthority } from '../src/sandbox/authority.ts';
import { startSandbox } from '../src/sandbox/sandbox.ts';
import { prepareSmtp } from '../src/send/smtp.ts';
import { stateOfFailure } from '../src/verdict/severity.ts';
import { until } from './support/until.ts';

const PASSWORD = 'correct horse';
const CREDENTIAL: ProxyPlan['credential'] = { kind: 'password', userName: 'probe', password: new Secret(PASSWORD) };
const BASIC = `Basic ${Buffer.from(`probe:${PASSWORD}`).toString('base64')}`;
const GREETING = '+OK ready\r\n';

/** What a scripted proxy does: says octets, waits for so many, or ends the connection. */
type Step = { readonly says: Uint8Array | string } | { readonly hears: Uint8Array | string } | 'closes' | 'resets';

const open: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];
const links: NodeLink[] = [];
afterEach(() => {
  for (const link of links.splice(0)) link.close();
  for (const { server, sockets } of open.splice(0)) {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
});

interface Scripted {
  readonly port: number;
  /** What it heard otherwise than the script has it. */
  readonly faults: string[];
  /** Connections still open. */
  readonly sockets: Set<Socket>;
}

/**
 * A proxy that follows a script.
 *
 * @param cut octets per segment, or 0 for all at once
 */
async function scripted(steps: readonly Step[], cut = 0): Promise<Scripted> {
  const faults: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    play(socket, steps, cut).catch((problem: Error) => {
      faults.push(problem.message);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ server, sockets });
  return { port: (server.address() as AddressInfo).port, faults, sockets };
}

async function play(socket: Socket, steps: readonly Step[], cut: number): Promise<void> {
  let heard = Buffer.alloc(0);
  socket.on('data', (octets: Buffer) => {
    heard = Buffer.concat([heard, octets]);
  });
  for (const step of steps) {
    if (step === 'closes') socket.end();
    else if (step === 'resets') socket.resetAndDestroy();
    else if ('says' in step) {
      const octets = Buffer.from(step.says as string, 'latin1');
      for (let at = 0; at < octets.length; at += cut || octets.length) {
        socket.write(octets.subarray(at, at + (cut || octets.length)));
        if (cut > 0) await sleep(2);
      }
    } else {
      const wanted = Buffer.from(step.hears as string, 'latin1');
      await until('heard', () => heard.length >= wanted.length);
      const came = heard.subarray(0, wanted.length);
      heard = heard.subarray(wanted.length);
      if (!came.equals(wanted)) throw new Error(`heard ${came.toString('hex')}, not ${wanted.toString('hex')}`);
    }
  }
}

interface Tried {
  /** The failure, or what the server said first. */
  readonly outcome: ProbeFailure | string;
  /** Whether the proxy had let us in. */
  readonly isIn: boolean;
}

type Plan = Partial<ProxyPlan> & { readonly port: number };
const LOOPBACK: Address = { address: '127.0.0.1', family: 4 };

function dial(plan: Plan, tls: LinkTerms['tls'] = null): NodeLink {
  const proxy: ProxyPlan = { kind: 'socks5', to: LOOPBACK, credential: null, ...plan };
  const link = new NodeLink({ proxy, family: 0, tls });
  links.push(link);
  return link;
}

/** Goes through a proxy to a server, as a visit does, and reads what is said there until a line has ended. */
async function go(plan: Plan, to: string | Address = 'mail.example.com', port = 110): Promise<Tried> {
  const link = dial(plan);
  let isIn = false;
  try {
    await link.reachProxy();
    isIn = true;
    const { address, dead } = await link.connect(typeof to === 'string' ? to : [to], port);
    expect(dead).toEqual([]);
    expect(address).toBe(typeof to === 'string' ? null : to.address);
    let said = '';
    while (!said.endsWith('\n')) {
      const octets = await link.read();
      if (octets === null) return { outcome: `${said}(end)`, isIn };
      said += Buffer.from(octets).toString('latin1');
    }
    return { outcome: said, isIn };
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(`${problem.message} ${problem.said}`).not.toContain(PASSWORD);
    return { outcome: problem, isIn };
  } finally {
    link.close();
  }
}

const failureOf = ({ outcome }: Tried): ProbeFailure => {
  if (typeof outcome === 'string') throw new Error(`it got through, and heard ${outcome}`);
  return outcome;
};

/** The failure in one line, with the state a run ends in. */
const told = (tried: Tried): string => {
  const { reason, phase, message } = failureOf(tried);
  return `${stateOfFailure(reason, phase)} ${phase} ${reason}: ${message}`;
};

const bytes = (...octets: readonly (number | string)[]): Buffer =>
  Buffer.concat(octets.map((each) => (typeof each === 'string' ? Buffer.from(each) : Buffer.of(each))));

const PORT_110 = [0, 110] as const;
const NAMED = bytes(5, 1, 0, 3, 16, 'mail.example.com', ...PORT_110);
const IN: readonly Step[] = [{ hears: bytes(5, 1, 0) }, { says: bytes(5, 0) }];
const GRANTED = bytes(5, 0, 0, 1, 127, 0, 0, 1, 0x12, 0x34);

const CUTS = [
  ['whole', 0],
  ['in threes', 3],
  ['octet by octet', 1],
] as const;

describe('through a SOCKS 5 proxy', () => {
  test.each(CUTS)(
    'the server is reached by its name, and the greeting that came at once is kept: %s',
    async (_, cut) => {
      const proxy = await scripted([...IN, { hears: NAMED }, { says: Buffer.concat([GRANTED, bytes(GREETING)]) }], cut);
      expect(await go(proxy)).toEqual({ outcome: GREETING, isIn: true });
      expect(proxy.faults).toEqual([]);
    },
  );

  const NAME_OF_255 = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}`;
  test.each<[string, string | Address, Buffer]>([
    ['an IPv4 address', { address: '192.0.2.1', family: 4 }, bytes(1, 192, 0, 2, 1)],
    [
      'an IPv6 address',
      { address: '2001:db8::1', family: 6 },
      bytes(4, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
    ],
    ['the address of nobody', { address: '::', family: 6 }, bytes(4, ...new Array<number>(16).fill(0))],
    [
      'a whole IPv6 address',
      { address: '1:2:3:4:5:6:7:ffff', family: 6 },
      bytes(4, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 255, 255),
    ],
    [
      'an IPv6 address that ends in zeros',
      { address: 'fe80::', family: 6 },
      bytes(4, 0xfe, 0x80, ...new Array<number>(14).fill(0)),
    ],
    [
      'an IPv4 address in IPv6',
      { address: '::ffff:192.0.2.1', family: 6 },
      bytes(4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1),
    ],
    ['a name of 255 octets', NAME_OF_255, bytes(3, 255, NAME_OF_255)],
  ])('%s is told as RFC 1928 §5 has it', async (_, to, target) => {
    const hears = Buffer.concat([bytes(5, 1, 0), target, bytes(3, 0xe3)]);
    const proxy = await scripted([...IN, { hears }, { says: GRANTED }, { says: GREETING }]);
    expect(await go(proxy, to, 995)).toEqual({ outcome: GREETING, isIn: true });
    expect(proxy.faults).toEqual([]);
  });

  test.each([
    ['IPv6', bytes(5, 0, 0, 4, ...new Array<number>(18).fill(7))],
    ['a name', bytes(5, 0, 0, 3, 5, 'proxy', 0, 1)],
    ['no name', bytes(5, 0, 0, 3, 0, 0, 1)],
  ])('the address in its answer may be %s: all of it is the proxy’s', async (_, granted) => {
    for (const [, cut] of CUTS) {
      const proxy = await scripted([...IN, { hears: NAMED }, { says: Buffer.concat([granted, bytes(GREETING)]) }], cut);
      expect((await go(proxy)).outcome).toBe(GREETING);
    }
  });

  test.each(CUTS)('that wants a user name and password: %s', async (_, cut) => {
    const proxy = await scripted(
      [
        { hears: bytes(5, 2, 0, 2) },
        { says: bytes(5, 2) },
        { hears: bytes(1, 5, 'probe', 13, PASSWORD) },
        { says: bytes(1, 0) },
        { hears: NAMED },
        { says: GRANTED },
        { says: GREETING },
      ],
      cut,
    );
    expect(await go({ ...proxy, credential: CREDENTIAL })).toEqual({ outcome: GREETING, isIn: true });
    expect(proxy.faults).toEqual([]);
  });

  test('that would let anybody in is told no password', async () => {
    const proxy = await scripted([
      { hears: bytes(5, 2, 0, 2) },
      { says: bytes(5, 0) },
      { hears: NAMED },
      { says: GRANTED },
      { says: GREETING },
    ]);
    expect((await go({ ...proxy, credential: CREDENTIAL })).outcome).toBe(GREETING);
    expect(proxy.faults).toEqual([]);
  });

  test.each<[string, readonly Step[], ProxyPlan['credential'], string]>([
    ['none of our ways in', [{ says: bytes(5, 255) }], CREDENTIAL, 'takes neither a user name and password nor nobody'],
    ['a password we lack', [{ says: bytes(5, 255) }], null, 'the proxy wants a user name and password'],
    ['a way in not offered', [{ says: bytes(5, 1) }], CREDENTIAL, 'a logon that was not offered'],
    ['a password unasked', [{ says: bytes(5, 2) }], null, 'a logon that was not offered'],
    ['another password', [{ says: bytes(5, 2, 1, 1) }], CREDENTIAL, 'does not accept the user name and password'],
    ['SOCKS 4', [{ says: bytes(0, 91, 0, 0, 0, 0, 0, 0) }], null, 'no SOCKS 5 proxy'],
    ['HTTP', [{ says: 'HTTP/1.1 400 Bad Request\r\n\r\n' }], null, 'no SOCKS 5 proxy'],
    ['POP3', [{ says: GREETING }], null, 'no SOCKS 5 proxy'],
    ['nothing', ['closes'], null, 'the proxy broke off: it closed the connection'],
    ['half an answer', [{ says: bytes(5) }, 'closes'], null, 'the proxy broke off: it closed the connection'],
    ['a reset', [{ hears: bytes(5) }, 'resets'], null, 'the proxy broke off: the connection was reset'],
    ['silence over a password', [{ says: bytes(5, 2) }, 'closes'], CREDENTIAL, 'it closed the connection'],
  ])(
    'that wants or says %s does not let us in, and nothing is known of the server',
    async (_, steps, credential, words) => {
      const tried = await go({ ...(await scripted(steps)), credential });
      expect(tried.isIn).toBe(false);
      expect(told(tried)).toMatch(/^unknown proxy proxy-failed: /);
      expect(failureOf(tried).message).toContain(words);
    },
  );

  test.each<[number, string]>([
    [1, 'unknown proxy proxy-failed: the proxy failed, and does not say why; it may not be able to resolve the name'],
    [2, 'unknown proxy proxy-failed: the proxy’s rules do not allow this connection'],
    [3, 'critical connect unreachable: the proxy has no route to the network'],
    [4, 'critical connect unreachable: the proxy has no route to the host, or cannot resolve its name'],
    [5, 'critical connect connection-refused: the server refused the proxy’s connection'],
    [6, 'critical connect unreachable: the proxy’s packets did not get as far as the server (TTL expired)'],
    [7, 'unknown proxy proxy-failed: the proxy does not connect for others'],
    [8, 'unknown proxy proxy-failed: the proxy does not know this kind of address'],
    [9, 'unknown proxy proxy-failed: the proxy refused'],
    [255, 'unknown proxy proxy-failed: the proxy refused'],
  ])('its reply %d blames whom it should', async (reply, expected) => {
    const answer = bytes(5, reply, 0, 1, 0, 0, 0, 0, 0, 0);
    for (const says of [answer, answer.subarray(0, 2)]) {
      const tried = await go(await scripted([...IN, { hears: NAMED }, { says }, 'closes']));
      expect(tried.isIn).toBe(true);
      expect(told(tried)).toBe(`${expected} (SOCKS reply ${reply})`);
    }
    const byAddress = await go(await scripted([...IN, { says: answer }]), LOOPBACK);
    expect(told(byAddress)).not.toContain('name');
  });

  test.each<[string, readonly Step[], string]>([
    ['ends without an answer', ['closes'], 'it closed the connection'],
    ['ends in the middle of one', [{ says: GRANTED.subarray(0, 7) }, 'closes'], 'it closed the connection'],
    ['resets', ['resets'], 'the connection was reset'],
    ['speaks no SOCKS any more', [{ says: bytes(4, 0, 0, 1) }], 'no SOCKS 5'],
    ['has an address of no kind', [{ says: bytes(5, 0, 0, 2, 1, 2, 3, 4, 5, 6) }], 'no SOCKS 5'],
  ])('that lets us in and then %s: that is its own fault', async (_, steps, words) => {
    const tried = await go(await scripted([...IN, { hears: NAMED }, ...steps]));
    expect(tried.isIn).toBe(true);
    expect(told(tried)).toMatch(/^unknown proxy proxy-failed: /);
    expect(failureOf(tried).message).toContain(words);
  });

  test.each<[string, string | Address, ProxyPlan['credential'], string]>([
    ['a name too long', 'a'.repeat(256), null, 'a name of the server of 1 to 255 octets, not 256'],
    ['an address with a zone', { address: 'fe80::1%eth0', family: 6 }, null, 'fe80::1%eth0: the zone'],
  ])('%s is our fault', async (_, to, credential, words) => {
    const tried = await go({ ...(await scripted(IN)), credential }, to);
    expect(told(tried)).toMatch(/^unknown (proxy|null) configuration: (SOCKS|fe80)/);
    expect(failureOf(tried).message).toContain(words);
  });
});

const ASKED = 'CONNECT mail.example.com:110 HTTP/1.1\r\nHost: mail.example.com:110\r\n\r\n';

describe('through an HTTP proxy', () => {
  const http = async (steps: readonly Step[], more: Partial<ProxyPlan> = {}, cut = 0) => ({
    ...(await scripted(steps, cut)),
    kind: 'http' as const,
    ...more,
  });

  test.each(CUTS)('the server is reached, and its greeting in the same segment is not lost: %s', async (_, cut) => {
    const says = `HTTP/1.1 200 Connection established\r\nServer: x\r\n\r\n${GREETING}`;
    const proxy = await http([{ hears: ASKED }, { says }], {}, cut);
    expect(await go(proxy)).toEqual({ outcome: GREETING, isIn: true });
    expect(proxy.faults).toEqual([]);
  });

  test('what the server said is not lost either where it hung up at once', async () => {
    const says = `HTTP/1.1 200 OK\r\n\r\n${GREETING.trim()}`;
    expect((await go(await http([{ hears: ASKED }, { says }, 'closes']))).outcome).toBe('+OK ready(end)');
  });

  test.each([
    ['of HTTP/1.0', 'HTTP/1.0 200 Connection established\r\n\r\n'],
    ['with no words', 'HTTP/1.1 200\r\n\r\n'],
    ['that is not 200', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['with a length that means nothing', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
    ['with bare line feeds', 'HTTP/1.1 200 OK\nServer: x\n\n'],
    ['after one on the way', 'HTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'],
    ['as long as is allowed', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(8192 - 24)}\r\n\r\n`],
  ])('by an answer %s', async (_, says) => {
    for (const cut of [0, 7]) {
      const proxy = await http([{ hears: ASKED }, { says: says + GREETING }], {}, says.length > 1000 ? 1000 : cut);
      expect((await go(proxy)).outcome).toBe(GREETING);
    }
  });

  test.each<[string, string | Address, string]>([
    ['an IPv4 address', { address: '192.0.2.1', family: 4 }, '192.0.2.1:995'],
    ['an IPv6 address', { address: '2001:db8::1', family: 6 }, '[2001:db8::1]:995'],
    ['a name of 255 octets', 'a'.repeat(255), `${'a'.repeat(255)}:995`],
  ])('%s is told as a URL has it', async (_, to, authority) => {
    const hears = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
    const proxy = await http([{ hears }, { says: `HTTP/1.1 200 OK\r\n\r\n${GREETING}` }]);
    expect((await go(proxy, to, 995)).outcome).toBe(GREETING);
    expect(proxy.faults).toEqual([]);
  });

  test('with user name and password', async () => {
    const hears = ASKED.replace(/\r\n$/, `Proxy-Authorization: ${BASIC}\r\n\r\n`);
    const proxy = await http([{ hears }, { says: `HTTP/1.1 200 OK\r\n\r\n${GREETING}` }], { credential: CREDENTIAL });
    expect((await go(proxy)).outcome).toBe(GREETING);
    expect(proxy.faults).toEqual([]);
  });

  const WANTS_BASIC = 'Proxy-Authenticate: Basic realm="x"\r\n';
  test.each<[string, string, ProxyPlan['credential'], string]>([
    ['502 Bad Gateway', '', null, 'critical connect unreachable: the proxy gets no connection to the server: refused'],
    ['503 Service Unavailable', '', null, 'critical connect unreachable: the proxy gets no connection to the server'],
    ['504 Gateway Timeout', '', null, 'critical connect timed-out: the server does not answer the proxy'],
    ['500 Unable to connect', '', null, 'critical connect unreachable: the proxy gets no connection to the server'],
    ['500 Internal Server Error', '', null, 'unknown proxy proxy-failed: the proxy will not connect for us (500)'],
    ['403 Forbidden', '', null, 'unknown proxy proxy-failed: the proxy’s rules do not allow this connection'],
    ['405 Method Not Allowed', '', null, 'unknown proxy proxy-failed: the proxy will not connect for us (405)'],
    ['302 Found', '', null, 'unknown proxy proxy-failed: the proxy will not connect for us (302)'],
    ['407 X', WANTS_BASIC, null, 'unknown proxy proxy-failed: the proxy wants a user name and password'],
    ['407 X', '', CREDENTIAL, 'unknown proxy proxy-failed: the proxy does not accept the user name and password'],
    ['401 X', '', CREDENTIAL, 'unknown proxy proxy-failed: the proxy does not accept the user name and password'],
    [
      '407 X',
      `Proxy-Authenticate: NTLM\r\n${WANTS_BASIC}`,
      CREDENTIAL,
      'unknown proxy proxy-failed: the proxy does not accept the user name and password',
    ],
    [
      '407 X',
      'Proxy-Authenticate: Negotiate, Basic realm="x"\r\n',
      CREDENTIAL,
      'unknown proxy proxy-failed: the proxy does not accept the user name and password',
    ],
    [
      '407 X',
      'proxy-authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n',
      CREDENTIAL,
      'unknown proxy proxy-failed: the proxy wants a logon by Negotiate or NTLM, and we only have Basic',
    ],
  ])('its answer %s %jblames whom it should', async (status, fields, credential, expected) => {
    const says = `HTTP/1.1 ${status}\r\n${fields}Content-Length: 3\r\n\r\nsee`;
    const tried = await go(await http([{ says }], { credential }));
    expect(told(tried)).toContain(expected);
    expect(failureOf(tried).said).toBe(`HTTP/1.1 ${status}`);
  });

  test.each<[string, readonly Step[], string]>([
    ['POP3', [{ says: GREETING }], 'no HTTP proxy'],
    ['less than a line', [{ says: '+' }], 'no HTTP proxy'],
    ['SOCKS', [{ says: bytes(5, 255) }], 'no HTTP proxy'],
    ['a status of no kind', [{ says: 'HTTP/1.1 2000 OK\r\n\r\n' }], 'no HTTP proxy'],
    ['no status', [{ says: 'HTTP/1.1\r\n\r\n' }], 'no HTTP proxy'],
    ['a header without end', [{ says: `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(2000)}` }], 'more than 8192 octets'],
    ['one line without end', [{ says: `HTTP/1.1 200 ${'y'.repeat(9000)}` }], 'more than 8192 octets'],
    [
      'a header that is too long, with its end',
      [{ says: `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(8192 - 23)}\r\n\r\n` }],
      'more than 8192 octets',
    ],
    ['nothing', ['closes'], 'it closed the connection'],
    ['half a header', [{ says: 'HTTP/1.1 200 OK\r\n' }, 'closes'], 'it closed the connection'],
    ['a reset', [{ hears: ASKED }, 'resets'], 'the connection was reset'],
  ])('that says %s is none', async (_, steps, words) => {
    const tried = await go(await http(steps));
    expect(told(tried)).toMatch(/^unknown proxy proxy-failed: /);
    expect(failureOf(tried).message).toContain(words);
  });
});

describe('a proxy that is not there', () => {
  test.each([
    [
      'refuses',
      { to: LOOPBACK, port: 1 },
      /^unknown proxy proxy-failed: the proxy cannot be reached: 127\.0\.0\.1 port 1: the connection was refused/,
    ],
    [
      'has no address',
      { to: 'proxy.invalid', port: 1080 },
      /^unknown proxy proxy-failed: the proxy cannot be reached: proxy\.invalid: /,
    ],
  ])('%s, and that says nothing of the mail server', async (_, plan, expected) => {
    for (const kind of ['socks5', 'http'] as const) expect(told(await go({ ...plan, kind }))).toMatch(expected);
  });

  test('by a name is found like every other', async () => {
    const proxy = await scripted([...IN, { hears: NAMED }, { says: GRANTED }, { says: GREETING }]);
    expect((await go({ ...proxy, to: 'localhost' })).outcome).toBe(GREETING);
  });
});

test('a link with a proxy never goes past it', async () => {
  const link = dial({ port: 1 });
  await expect(link.connect([LOOPBACK], 110)).rejects.toThrow(TypeError);
});

describe('a proxy that keeps quiet is let go of at once', () => {
  test.each<[string, Partial<ProxyPlan>, readonly Step[]]>([
    ['in the greeting', {}, []],
    ['over the password', { credential: CREDENTIAL }, [{ says: bytes(5, 2) }]],
    ['over the server', {}, IN],
    ['in the middle of its answer', {}, [...IN, { says: GRANTED.subarray(0, 6) }]],
    ['to CONNECT', { kind: 'http' }, []],
    ['in its header', { kind: 'http' }, [{ says: 'HTTP/1.1 200 OK\r\nX' }]],
    ['after it', { kind: 'http' }, [{ says: 'HTTP/1.1 200 OK\r\n\r\n' }]],
  ])('%s', async (_, plan, steps) => {
    const proxy = await scripted(steps);
    const link = dial({ port: proxy.port, ...plan });
    let state: unknown = 'waiting';
    link
      .reachProxy()
      .then(() => link.connect('mail.example.com', 110))
      .then(() => link.read())
      .then(
        () => {
          state = 'answered';
        },
        (problem: unknown) => {
          state = problem;
        },
      );
    await until('connected', () => proxy.sockets.size === 1);
    await sleep(50);
    expect(state).toBe('waiting');
    link.close();
    await until('let go', () => proxy.sockets.size === 0);
  });

  test('and so is one that is still being looked for', async () => {
    const proxy = await scripted([]);
    const link = dial({ port: proxy.port, to: 'localhost' });
    void link.reachProxy().catch(() => undefined);
    link.close();
    await sleep(100);
    expect(proxy.sockets.size).toBe(0);
  });
});

describe('TLS behind a proxy', () => {
  const tls: LinkTerms['tls'] = {
    identity: 'localhost',
    sni: 'localhost',
    authorities: null,
    pins: [],
    clientCertificate: null,
  };
  const secured = async (steps: readonly Step[], plan: Partial<ProxyPlan> = {}): Promise<ProbeFailure> => {
    const link = dial({ ...(await scripted(steps)), ...plan }, tls);
    await link.reachProxy();
    await link.connect('mail.example.com', 995);
    try {
      await link.secure();
    } catch (problem) {
      if (problem instanceof ProbeFailure) return problem;
      throw problem;
    }
    throw new Error('there was TLS');
  };

  test.each<[string, readonly Step[], Partial<ProxyPlan>]>([
    [
      'octets before it, with the answer to CONNECT',
      [{ says: `HTTP/1.1 200 OK\r\n\r\n${GREETING}` }],
      { kind: 'http' },
    ],
    ['one octet', [{ says: 'HTTP/1.1 200 OK\r\n\r\n\x16' }], { kind: 'http' }],
    ['octets before it, with the answer of SOCKS', [...IN, { says: Buffer.concat([GRANTED, bytes(GREETING)]) }], {}],
    [
      'octets in its place',
      [
        { hears: ASKED.replaceAll(':110', ':995') },
        { says: 'HTTP/1.1 200 OK\r\n\r\n' },
        { hears: bytes(0x16) },
        { says: GREETING },
      ],
      { kind: 'http' },
    ],
  ])('does not begin with %s, and what the proxy said is not held against the server', async (_, steps, plan) => {
    const failure = await secured(steps, plan);
    expect(failure).toMatchObject({
      reason: 'tls-failed',
      message: 'the server does not speak TLS on this port',
      phase: null,
    });
  });

  test('is broken off at once, TLS before the socket under it', async () => {
    const proxy = await scripted([{ says: 'HTTP/1.1 200 OK\r\n\r\n' }]);
    const link = dial({ port: proxy.port, kind: 'http' }, tls);
    await link.reachProxy();
    await link.connect('mail.example.com', 995);
    void link.secure().catch(() => undefined);
    await sleep(50);
    link.close();
    await until('let go', () => proxy.sockets.size === 0);
  });
});

/** An HTTP proxy that connects, and keeps what it was asked. */
async function working(): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined);
    client.once('data', (octets: Buffer) => {
      asked.push(octets.toString().split('\r\n')[0] as string);
      const [, host, port] = /^CONNECT (\S+):(\d+) /.exec(octets.toString()) as unknown as [string, string, string];
      const link = connect(Number(port), host === 'mail.example.com' ? '127.0.0.1' : host, () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(link).pipe(client);
      });
      sockets.add(link);
      link.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({ server, sockets });
  return { port: (server.address() as AddressInfo).port, asked };
}

describe('HTTPS through a proxy', () => {
  const request = (proxy: ProxyPlan, host: string, port: number, authorities: string | null = null): Posting =>
    post({
      url: `https://${host}:${port}/token`,
      headers: {},
      body: new Uint8Array(0),
      terms: { family: 0, proxy, authorities },
    });

  test('reaches a server only the proxy knows the way to, and judges its certificate', async () => {
    const authority = await createAuthority('throw-away CA');
    const { certificate: cert, key } = await authority.issue({ names: ['mail.example.com'] });
    const server = createHttpsServer({ cert, key }, (_, response) => response.end('yes'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const proxy = await working();
      const plan = { kind: 'http', to: LOOPBACK, port: proxy.port, credential: null } as const;
      const answer = await request(plan, 'mail.example.com', port, authority.certificate).done;
      expect(answer).toMatchObject({ status: 200, body: 'yes' });
      expect(proxy.asked).toEqual([`CONNECT mail.example.com:${port} HTTP/1.1`]);
      await expect(request(plan, '127.0.0.1', port, authority.certificate).done).rejects.toMatchObject({
        reason: 'certificate-wrong-host',
      });
    } finally {
      server.close();
    }
  });

  test.each<[string, readonly Step[], ProxyPlan['kind'], string]>([
    ['refuses us', [{ says: 'HTTP/1.1 407 No\r\n\r\n' }], 'http', 'proxy-failed'],
    ['is none', [{ says: GREETING }], 'socks5', 'proxy-failed'],
    ['says that the server refused', [...IN, { says: bytes(5, 5) }], 'socks5', 'connection-refused'],
  ])('that %s fails for that reason', async (_, steps, kind, reason) => {
    const { port } = await scripted(steps);
    const { done } = request({ kind, to: LOOPBACK, port, credential: null }, 'login.example.com', 443);
    await expect(done).rejects.toMatchObject({ reason });
  });

  test('is abandoned with everything it opened', async () => {
    const proxy = await scripted([{ says: 'HTTP/1.1 200 OK\r\n\r\n' }]);
    const plan = { kind: 'http', to: LOOPBACK, port: proxy.port, credential: null } as const;
    const { abandon } = request(plan, 'login.example.com', 443);
    await until('connected', () => proxy.sockets.size === 1);
    await sleep(50);
    abandon();
    await until('let go', () => proxy.sockets.size === 0);
  });
});

test('SMTP goes through it too, and keeps the greeting that came at once', async () => {
  const sandbox = await startSandbox({ password: PASSWORD });
  try {
    const proxy = await working();
    const submit = await prepareSmtp({
      via: 'smtp',
      server: 'mail.example.com',
      to: 'mail.example.com',
      port: sandbox.smtpPort,
      connectionType: 'plaintext',
      link: { proxy: { kind: 'http', to: LOOPBACK, port: proxy.port, credential: null }, family: 0, tls: null },
      credential: null,
    });
    const octets = Buffer.from('Subject: x\r\n\r\nhello\r\n');
    const { said } = await submit({ from: 'probe@example.com', to: 'probe@example.com', octets }).done;
    expect(said).toMatch(/^250 /);
    expect(proxy.asked).toEqual([`CONNECT mail.example.com:${sandbox.smtpPort} HTTP/1.1`]);
  } finally {
    await sandbox.close();
  }
});
