import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Address } from '../../../src/dialogue/dialogue.ts';
import { maskFor, Secret } from '../../../src/dialogue/secret.ts';
import * as mailbox from '../../../src/pop3/mailbox.ts';
import { type ConnectionType, visit } from '../../../src/pop3/visit.ts';
import { type Account, drive } from '../../../src/probe/drive.ts';
import type { ProxyPlan } from '../../../src/probe/world.ts';
import { post } from '../../../src/runtimes/node/http.ts';
import { nodeWorld } from '../../../src/runtimes/node/world.ts';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { stateOfFailure } from '../../../src/verdict/severity.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import {
  DANTE,
  MICROSOCKS,
  type RunningProxy,
  startDante,
  startMicrosocks,
  startTinyproxy,
  TINYPROXY,
} from '../../support/proxies.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';

const USER = 'probe';
const PASSWORD = 'correct-horse-battery-staple';
const PROXY_PASSWORD = 'into-the-tunnel';

const LOOPBACK: Address = { address: '127.0.0.1', family: 4 };
const CONNECTION_TYPES: readonly ConnectionType[] = ['plaintext', 'tls', 'ssl'];

interface Trip {
  readonly to?: string | Address;
  readonly port?: number;
  readonly allowedMs?: number;
}

describe.skipIf(missing(DOVECOT, DANTE, MICROSOCKS, TINYPROXY))('a real Dovecot behind', () => {
  let dovecot: Dovecot;
  let authority: Authority;
  let dante: RunningProxy;
  let microsocks: RunningProxy;
  let tinyproxy: RunningProxy;
  const running: { stop(): Promise<void> }[] = [];
  const kept = <T extends { stop(): Promise<void> }>(server: T): T => {
    running.push(server);
    return server;
  };

  beforeAll(async () => {
    authority = await createAuthority('throw-away CA');
    const identity = await authority.issue({ names: ['localhost'] });
    dovecot = kept(await startDovecot({ identity, users: { [USER]: PASSWORD } }));
    dante = kept(await startDante());
    microsocks = kept(await startMicrosocks(USER, PROXY_PASSWORD));
    tinyproxy = kept(await startTinyproxy(USER, PROXY_PASSWORD, [dovecot.port, dovecot.tlsPort, 1]));
  });
  afterAll(async () => {
    for (const each of running) await each.stop();
  });

  const plan = (kind: ProxyPlan['kind'], port: number, password: string | null): ProxyPlan => ({
    kind,
    to: LOOPBACK,
    port,
    credential: password === null ? null : { kind: 'password', userName: USER, password: new Secret(password) },
  });
  const THROUGH = {
    Dante: () => plan('socks5', dante.port, null),
    microsocks: () => plan('socks5', microsocks.port, PROXY_PASSWORD),
    tinyproxy: () => plan('http', tinyproxy.port, PROXY_PASSWORD),
  } as const;
  type Name = keyof typeof THROUGH;
  const NAMES = Object.keys(THROUGH) as readonly Name[];

  async function go(proxy: ProxyPlan, connectionType: ConnectionType, trip: Trip = {}): Promise<Account<unknown>> {
    const tls = {
      identity: 'localhost',
      sni: 'localhost',
      authorities: authority.certificate,
      pins: [],
      clientCertificate: null,
    };
    const allowedMs = trip.allowedMs ?? 20_000;
    const password = new Secret(PASSWORD);
    const to = {
      to: trip.to ?? 'localhost',
      port: trip.port ?? (connectionType === 'ssl' ? dovecot.tlsPort : dovecot.port),
      viaProxy: true,
      connectionType,
      trustAnyCertificate: false,
      login: { kind: 'password', method: 'auto', userName: USER, password } as const,
    };
    const account = await drive(
      visit(to, (wire) => wire.during('mailbox', mailbox.stat(wire))),
      nodeWorld.dial({ proxy, family: 0, tls: connectionType === 'plaintext' ? null : tls }),
      {
        world: nodeWorld,
        deadline: nodeWorld.now() + allowedMs,
        allowedMs,
        mask: maskFor([password, ...(proxy.credential === null ? [] : [proxy.credential.password])]),
        trace: true,
        stop: null,
      },
    );
    for (const secret of [PASSWORD, PROXY_PASSWORD, 'wrong']) expect(JSON.stringify(account)).not.toContain(secret);
    return account;
  }

  /** How it failed, in one line. */
  const told = ({ outcome }: Account<unknown>): string => {
    if ('value' in outcome) return 'success';
    const { reason, phase, message } = outcome.failure;
    return `${stateOfFailure(reason, phase)} ${phase} ${reason}: ${message}`;
  };

  describe.each(NAMES)('%s', (name) => {
    test.each(CONNECTION_TYPES)('is logged on to: %s', async (connectionType) => {
      const account = await go(THROUGH[name](), connectionType);
      expect(told(account)).toBe('success');
      const phases = account.phases.map((each) => each.name);
      expect(phases.slice(0, 2)).toEqual(['proxy', 'connect']);
      expect(phases).not.toContain('dns');
      expect(account.connected).toEqual({ address: null, dead: [] });
      expect(account.tls?.authorized).toBe(connectionType === 'plaintext' ? undefined : true);
      expect(account.conversation.map(({ words }) => words).slice(0, 2)).toEqual([
        expect.stringMatching(/^let in by the proxy 127\.0\.0\.1 port \d+$/),
        expect.stringMatching(/^connected to localhost port \d+ through the proxy$/),
      ]);
    });

    test('is reached by its address too', async () => {
      const account = await go(THROUGH[name](), 'tls', { to: LOOPBACK });
      expect(told(account)).toBe('success');
      expect(account.connected?.address).toBe('127.0.0.1');
    });

    test('is, where nobody listens, the one to blame', async () => {
      const expected = {
        Dante: 'critical connect connection-refused: the server refused the proxy’s connection (SOCKS reply 5)',
        microsocks: 'critical connect connection-refused: the server refused the proxy’s connection (SOCKS reply 5)',
        tinyproxy:
          'critical connect unreachable: the proxy gets no connection to the server: refused, out of reach, or a name it cannot resolve',
      };
      expect(told(await go(THROUGH[name](), 'ssl', { port: 1 }))).toBe(expected[name]);
    });

    test('has a name that the proxy, and nobody here, is asked for', async () => {
      const expected = {
        Dante:
          'critical connect unreachable: the proxy has no route to the host, or cannot resolve its name (SOCKS reply 4)',
        // It says the same to all that is out of the ordinary.
        microsocks:
          'unknown proxy proxy-failed: the proxy failed, and does not say why; it may not be able to resolve the name (SOCKS reply 1)',
        tinyproxy:
          'critical connect unreachable: the proxy gets no connection to the server: refused, out of reach, or a name it cannot resolve',
      };
      expect(told(await go(THROUGH[name](), 'ssl', { to: 'mail.invalid' }))).toBe(expected[name]);
    });
  });

  test.each([
    ['microsocks', 'wrong', 'the proxy does not accept the user name and password'],
    ['microsocks', null, 'the proxy wants a user name and password'],
    ['tinyproxy', 'wrong', 'the proxy does not accept the user name and password'],
    ['tinyproxy', null, 'the proxy wants a user name and password'],
  ] as const)('%s is not blamed for our password for the proxy: %s', async (name, password, words) => {
    const { kind, port } = THROUGH[name]();
    expect(told(await go(plan(kind, port, password), 'tls'))).toBe(`unknown proxy proxy-failed: ${words}`);
  });

  test.each([
    ['Dante', { to: { address: '127.0.0.9', family: 4 } as const }, ' (SOCKS reply 2)'],
    ['tinyproxy', { port: 9 }, ''],
  ] as const)('%s is not blamed for the rules of the proxy', async (name, trip, number) => {
    expect(told(await go(THROUGH[name](), 'tls', trip))).toBe(
      `unknown proxy proxy-failed: the proxy’s rules do not allow this connection${number}`,
    );
  });

  test.each([
    ['a SOCKS proxy that speaks HTTP', () => plan('socks5', tinyproxy.port, null)],
    ['an HTTP proxy that speaks SOCKS', () => plan('http', dante.port, null)],
    ['a mail server in place of a SOCKS proxy', () => plan('socks5', dovecot.port, null)],
    ['a mail server in place of an HTTP proxy', () => plan('http', dovecot.port, null)],
    ['a proxy that is down', () => plan('socks5', 1, null)],
  ])('%s: nothing is known of it', async (_, proxy) => {
    expect(told(await go(proxy(), 'tls', { allowedMs: 1500 }))).toMatch(/^unknown proxy (proxy-failed|timed-out): /);
  });

  test('a proxy that hangs: nothing is known of it, and the time is kept', async () => {
    const hanging = await startDante();
    try {
      process.kill(-hanging.pid, 'SIGSTOP');
      const began = performance.now();
      const account = await go(plan('socks5', hanging.port, null), 'tls', { allowedMs: 500 });
      expect(told(account)).toBe('unknown proxy timed-out: the proxy did not let us in within 0.5 s');
      expect(performance.now() - began).toBeLessThan(3000);
    } finally {
      await hanging.stop();
    }
  });

  test.each(NAMES)('%s: what is asked of it over HTTPS goes that way', async (name) => {
    const { done } = post({
      url: `https://localhost:${dovecot.tlsPort}/`,
      headers: {},
      body: new Uint8Array(0),
      terms: { family: 0, proxy: THROUGH[name](), authorities: authority.certificate },
    });
    // It is a mail server: TLS is up, its certificate good, and its greeting no HTTP.
    await expect(done).rejects.toMatchObject({ reason: 'protocol-violation' });
  });

  describe('by the command', () => {
    const folder = privateFolder();
    const check = async (proxy: string, more: readonly string[] = []): Promise<Ended> => {
      const caFile = folder.file('ca.pem', authority.certificate);
      const passwordFile = folder.file('password', keepSecret(PASSWORD));
      return await run(CHECK_POP3, [
        ...['-H', 'localhost', '-p', String(dovecot.tlsPort), '-S', '-u', USER, '--password-file', passwordFile],
        ...['--ca-file', caFile, '--light-mode', '--proxy', proxy, ...more],
      ]);
    };

    test.each<[string, () => string]>([
      ['SOCKS 5', () => `socks5://127.0.0.1:${dante.port}`],
      [
        'SOCKS 5 with a password, in a file',
        () =>
          `@${folder.file('socks', `socks5://${USER}:${keepSecret(PROXY_PASSWORD)}@127.0.0.1:${microsocks.port}\n`)}`,
      ],
      [
        'CONNECT with a password, in a file',
        () => `@${folder.file('connect', `http://${USER}:${PROXY_PASSWORD}@127.0.0.1:${tinyproxy.port}\n`)}`,
      ],
    ])('%s: the logon, and the time of the proxy', async (_, proxy) => {
      const { code, line } = await check(proxy());
      expect(line).toMatch(/^POP3 OK - localhost: logon .* time_proxy=\d/);
      expect(line).not.toContain('time_dns');
      expect(code).toBe(0);
    });

    test('a wrong password for the proxy says nothing about the mail server', async () => {
      const proxy = folder.file(
        'wrong',
        `socks5://${USER}:${keepSecret('not-into-the-tunnel')}@127.0.0.1:${microsocks.port}\n`,
      );
      const { code, line } = await check(`@${proxy}`);
      expect(line).toMatch(/^POP3 UNKNOWN - localhost: proxy-failed/);
      expect(code).toBe(3);
    });

    test('a proxy that is down says nothing about the mail server', async () => {
      const { code, line } = await check('socks5://127.0.0.9:1');
      expect(line).toMatch(/^POP3 UNKNOWN - localhost: proxy-failed/);
      expect(code).toBe(3);
    });

    test('a mail server that is down behind a proxy is down', async () => {
      const { code, line } = await check(`socks5://127.0.0.1:${dante.port}`, ['-p', '1']);
      expect(line).toMatch(/^POP3 CRITICAL - localhost: connection-refused/);
      expect(code).toBe(2);
    });
  });
});
