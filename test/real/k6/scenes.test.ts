import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeResult } from '../../../plugins/k6/pop3.d.ts';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import type { FaultName } from '../../../src/sandbox/faults.ts';
import { startSandbox } from '../../../src/sandbox/sandbox.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { builtRunner, GO, type Point, type Ran, runScript } from '../../support/k6-runner.ts';
import { keepSecret, privateFolder } from '../../support/run.ts';

/**
 * What k6 would measure of each scene: every sample of the built modules in k6's JavaScript engine, over the transport of
 * xk6-pop3 and over sockets as k6/x/tcp has them, against a real Dovecot, the sandbox, and a server that breaks off.
 */

const USER = 'alice';
const PASSWORD = keepSecret('opén sesame "#1" \\o/');
const WRONG = keepSecret('open sesame number two');
const MESSAGE = 'Subject: one\r\n\r\n.a dot\r\n';

const SCRIPT = (bundle: string): string => `
  import { open as openMailbox, probe } from ${JSON.stringify(new URL(`../../../dist/${bundle}.js`, import.meta.url).pathname)};
  const given = JSON.parse(__ENV.OPTIONS);
  if (__ENV.CA !== undefined) given.ca = open(__ENV.CA);
  export default () => probe(given);
  export const leak = async () => { await openMailbox(given); };
`;

describe.skipIf(missing(GO, DOVECOT))('what k6 would measure', () => {
  const folder = privateFolder();
  const scripts = { xk6: folder.file('xk6.js', SCRIPT('pop3.xk6')), tcp: folder.file('tcp.js', SCRIPT('pop3.k6')) };
  const caFile = join(folder.path, 'ca.pem');
  let authority: Authority;
  let dovecot: Dovecot;

  beforeAll(async () => {
    await builtRunner();
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    const identity = await authority.issue({ names: ['localhost'] });
    dovecot = await startDovecot({ users: { [USER]: PASSWORD }, identity });
    await dovecot.deliver(MESSAGE);
  });
  afterAll(() => dovecot?.stop());

  interface Scene {
    readonly by?: keyof typeof scripts;
    readonly options: Readonly<Record<string, unknown>>;
    readonly password?: string;
    /** Whether Go trusts the authority of the tests, as SSL_CERT_FILE tells it. */
    readonly isTrusted?: boolean;
    readonly argv?: readonly string[];
  }

  async function played({ by = 'xk6', options, password = PASSWORD, isTrusted = true, argv = [] }: Scene) {
    const given = { server: 'localhost', userName: USER, passwordSecret: 'PW', timeout: 5, ...options };
    const ran = await runScript<ProbeResult>(
      ['-e', `OPTIONS=${JSON.stringify(given)}`, '--secret', `PW=${password}`, ...argv, scripts[by]],
      { env: isTrusted ? { SSL_CERT_FILE: caFile } : {} },
    );
    expectNoSecretIn(ran);
    expect([ran.report.goroutinesLeft, ran.report.socketsLeft]).toEqual([0, 0]);
    return ran;
  }

  async function probed(scene: Scene): Promise<{ readonly result: ProbeResult; readonly points: readonly Point[] }> {
    const { report, points } = await played(scene);
    expect(report.errors).toEqual([]);
    const result = report.results[0]?.returned as ProbeResult;
    expectMeasured(points, result);
    return { result, points };
  }

  const PHASES = ['dns', 'connect', 'greeting', 'capabilities', 'login', 'mailbox', 'quit'];

  describe('by xk6-pop3', () => {
    test.each([
      ['plaintext', PHASES],
      ['ssl', ['dns', 'connect', 'tls', ...PHASES.slice(2)]],
      ['tls', ['dns', 'connect', 'greeting', 'capabilities', 'stls', 'tls', ...PHASES.slice(4)]],
    ] as const)('a logon, %s', async (connectionType, phases) => {
      const port = connectionType === 'ssl' ? dovecot.tlsPort : dovecot.port;
      const { result, points } = await probed({ options: { port, connectionType } });
      expect(result).toMatchObject({ result: 'Success', address: '127.0.0.1' });
      expect(new Set(result.phases.map(({ name }) => name))).toEqual(new Set(phases));
      expect(valuesOf(points, 'pop3_session_success')).toEqual([1]);
      expect(valuesOf(points, 'pop3_mailbox_messages')).toEqual([1]);
      expect(valuesOf(points, 'pop3_mailbox_octets')).toEqual([Buffer.byteLength(MESSAGE)]);
      expect(valuesOf(points, 'pop3_certificate_days_left')).toHaveLength(connectionType === 'plaintext' ? 0 : 1);
      expect(valuesOf(points, 'pop3_sockets')).toEqual([1]);
      expect(valuesOf(points, 'pop3_socket_connecting')).toHaveLength(1);
      expect(valuesOf(points, 'pop3_socket_duration')).toHaveLength(1);
      expect(valuesOf(points, 'pop3_socket_tls_handshaking')).toHaveLength(connectionType === 'plaintext' ? 0 : 1);
    });

    test('the tags of a call are on all of its samples', async () => {
      const options = { port: dovecot.port, connectionType: 'plaintext', tags: { site: 'one' } };
      const { points } = await probed({ options });
      const ours = points.filter(({ metric }) => metric.startsWith('pop3_'));
      expect(ours.length).toBeGreaterThan(8);
      expect(new Set(ours.map(({ tags }) => tags.site))).toEqual(new Set(['one']));
    });

    test('an authority nobody knows', async () => {
      const before = await logonsOf(dovecot);
      const { result, points } = await probed({ options: { port: dovecot.port }, isTrusted: false });
      expectFailed(result, points, 'certificate-untrusted', 'tls');
      expect(valuesOf(points, 'pop3_certificate_days_left')).toHaveLength(1);
      expect(await logonsOf(dovecot)).toBe(before);
    });

    test('a certificate for another host', async () => {
      const options = { port: dovecot.port, server: 'mail.example.com', address: '127.0.0.1' };
      const { result, points } = await probed({ options });
      expectFailed(result, points, 'certificate-wrong-host', 'tls');
    });

    test('a session that is forgotten holds up nothing, and is closed with the iteration', async () => {
      const { report, points } = await played({
        options: { port: dovecot.port, timeout: 30 },
        argv: ['--exec', 'leak', '--iterations', '3', '--limit', '20'],
      });
      expect(report).toMatchObject({ iterations: 3, failed: 0, interrupted: 0 });
      for (const { tookMs } of report.results) expect(tookMs).toBeLessThan(5000);
      expect(valuesOf(points, 'pop3_sockets')).toEqual([1, 1, 1]);
      // It was neither left well nor has it failed.
      expect(valuesOf(points, 'pop3_session_success')).toEqual([]);
    });

    test('the end of an iteration from outside ends what is under way', async () => {
      const { close, port } = await serverThat(() => undefined);
      const { report } = await played({
        options: { port, connectionType: 'plaintext', timeout: 30 },
        argv: ['--limit', '0.5'],
      });
      await close();
      expect(report).toMatchObject({ iterations: 1, failed: 0, interrupted: 1 });
    });
  });

  describe('by k6/x/tcp', () => {
    test.each(['plaintext', 'ssl'] as const)('a logon, %s', async (connectionType) => {
      const port = connectionType === 'ssl' ? dovecot.tlsPort : dovecot.port;
      const { result, points } = await probed({ by: 'tcp', options: { port, connectionType } });
      expect(result).toMatchObject({ result: 'Success', address: '127.0.0.1', tls: null });
      // What is done in the course of connecting has no time of its own.
      expect(result.phases.map(({ name }) => name)).toEqual(PHASES.slice(1));
      expect(valuesOf(points, 'pop3_session_success')).toEqual([1]);
      expect(valuesOf(points, 'pop3_mailbox_messages')).toEqual([1]);
      expect(valuesOf(points, 'pop3_certificate_days_left')).toEqual([]);
      expect(valuesOf(points, 'tcp_sockets')).toEqual([1]);
      expect(valuesOf(points, 'tcp_socket_duration')).toHaveLength(1);
    });

    test('STLS is refused, and nobody is connected to', async () => {
      const { result, points } = await probed({ by: 'tcp', options: { port: dovecot.port } });
      expect(result.error?.reason).toBe('configuration');
      expect(result.error?.message).toContain("connectionType 'tls' is not supported by this transport (k6/x/tcp)");
      expect(valuesOf(points, 'tcp_sockets')).toEqual([]);
    });

    test('an authority nobody knows; a certificate for another host', async () => {
      const options = { port: dovecot.tlsPort, connectionType: 'ssl' };
      const unknown = await probed({ by: 'tcp', options, isTrusted: false });
      expectFailed(unknown.result, unknown.points, 'certificate-untrusted', 'tls');
      const other = await probed({ by: 'tcp', options: { ...options, server: '127.0.0.1' } });
      expectFailed(other.result, other.points, 'certificate-wrong-host', 'tls');
    });

    test('a session that is forgotten holds up the iteration until it closes by itself', async () => {
      const { report } = await played({
        by: 'tcp',
        options: { port: dovecot.port, connectionType: 'plaintext', timeout: 1 },
        argv: ['--exec', 'leak', '--limit', '20'],
      });
      expect(report).toMatchObject({ iterations: 1, failed: 0, interrupted: 0 });
      expect(report.results[0]?.tookMs).toBeGreaterThan(1000);
      expect(report.results[0]?.tookMs).toBeLessThan(10_000);
    });
  });

  describe.each(['xk6', 'tcp'] as const)('%s', (by) => {
    test('a wrong password', async () => {
      const options = { port: dovecot.port, connectionType: 'plaintext' };
      const { result, points } = await probed({ by, options, password: WRONG });
      expectFailed(result, points, 'login-refused', 'login');
      expect(valuesOf(points, 'pop3_mailbox_messages')).toEqual([]);
    });

    test('nobody listens', async () => {
      const { close, port } = await serverThat(() => undefined);
      await close();
      const { result, points } = await probed({ by, options: { port, connectionType: 'plaintext' } });
      expectFailed(result, points, 'connection-refused', 'connect');
    });

    test('silence', async () => {
      const { close, port } = await serverThat(() => undefined);
      const { result, points } = await probed({ by, options: { port, connectionType: 'plaintext', timeout: 0.5 } });
      await close();
      expectFailed(result, points, 'timed-out', 'greeting');
    });

    test('a server that closes in the middle of a line', async () => {
      const { close, port } = await serverThat((socket) => socket.end('+OK rea'));
      const { result, points } = await probed({ by, options: { port, connectionType: 'plaintext' } });
      await close();
      expectFailed(result, points, 'hung-up', 'greeting');
    });

    test.each([
      ['stat-words', 'protocol-violation', 'mailbox'],
      ['eof-after-pass', 'hung-up', 'login'],
      ['sys-temp', 'server-temporary', 'login'],
      ['imap', 'not-pop3', 'greeting'],
    ] as const)('the sandbox with %s', async (fault, reason, phase) => {
      const { result, points } = await atSandbox(by, fault, 'plaintext');
      expectFailed(result, points, reason, phase);
    });
  });

  test.each(['stls-inject', 'stls-inject-partial', 'stls-plaintext'] as const)(
    'what stands in clear behind STLS is never taken: %s',
    async (fault) => {
      const { result, points, inTheClear } = await atSandbox('xk6', fault, 'tls');
      expectFailed(result, points, 'plaintext-after-stls', 'stls');
      expect(inTheClear).toContain('STLS');
      expect(inTheClear.join('\n')).not.toMatch(/^(?:USER|PASS|AUTH|APOP)/m);
    },
  );

  async function atSandbox(by: keyof typeof scripts, fault: FaultName, connectionType: string) {
    const server = await startSandbox({ user: USER, password: PASSWORD, faults: [fault], names: ['localhost'] });
    try {
      const options = { port: server.pop3Port, connectionType };
      writeFileSync(caFile, authority.certificate + server.caCertificate);
      return { ...(await probed({ by, options })), inTheClear: server.receivedInTheClear };
    } finally {
      await server.close();
    }
  }
});

/** In clear, as JSON has it, and in base 64 as SASL has it. */
function expectNoSecretIn({ written }: Ran<unknown>): void {
  for (const secret of [PASSWORD, WRONG]) {
    const sasl = Buffer.from(`\0${USER}\0${secret}`).toString('base64');
    for (const form of [secret, JSON.stringify(secret).slice(1, -1), sasl.slice(0, -4)])
      expect(written).not.toContain(form);
  }
}

/** Every phase of the result is measured once, and nothing is that was not reached. Nobody is named by a tag. */
function expectMeasured(points: readonly Point[], { phases, latencyMs, error }: ProbeResult): void {
  const measured = points.flatMap(({ metric, value }) => {
    const name = /^pop3_(?!session_|command_|socket_)(\w+)_duration$/.exec(metric)?.[1];
    return name === undefined ? [] : [{ name, ms: value }];
  });
  expect(measured).toEqual(phases);
  expect(valuesOf(points, 'pop3_session_duration')).toEqual([latencyMs]);
  expect(points.filter(({ metric }) => metric === 'pop3_errors').map(({ tags }) => [tags.reason, tags.phase])).toEqual(
    error === null ? [] : [[error.reason, error.phase ?? 'none']],
  );
  const tags = new Set(points.flatMap((point) => Object.keys(point.tags)));
  for (const tag of tags) expect(['scenario', 'group', 'proto', 'reason', 'phase', 'site']).toContain(tag);
}

function expectFailed(result: ProbeResult, points: readonly Point[], reason: string, phase: string): void {
  expect(result.result).toBe('Failure');
  expect(result.error).toMatchObject({ reason, phase });
  expect(valuesOf(points, 'pop3_session_success')).toEqual([0]);
}

const valuesOf = (points: readonly Point[], metric: string): readonly number[] =>
  points.filter((point) => point.metric === metric).map(({ value }) => value);

const logonsOf = async (dovecot: Dovecot): Promise<number> =>
  (await dovecot.log()).split('\n').filter((line) => line.includes('pop3-login: Info: Login:')).length;

async function serverThat(greets: (socket: Socket) => unknown) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).resume();
    greets(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise<unknown>((resolve) => server.close(resolve)),
  };
}
