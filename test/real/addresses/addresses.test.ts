import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { missing, pathOf } from '../../support/installed.ts';
import { NAMESPACES } from '../../support/namespaces.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';

const PASSWORD = keepSecret('correct-horse-battery-staple');

describe.skipIf(missing(NAMESPACES))('a farm behind one name', () => {
  const folder = privateFolder();
  const passwordFile = folder.file('password', PASSWORD);
  const hosts = folder.file(
    'hosts',
    [
      '127.0.0.1 farm.example.com half.example.com',
      '127.0.0.9 farm.example.com',
      '127.0.0.8 half.example.com',
      '::1 six.example.com',
      '2001:db8::1 only-six.example.com',
    ].join('\n'),
  );
  let sandbox: Sandbox;
  let port: number;
  const mirrors: Server[] = [];

  beforeAll(async () => {
    sandbox = await startSandbox({ password: PASSWORD });
    port = sandbox.pop3Port;
    for (const host of ['127.0.0.9', '::1']) mirrors.push(await mirror(host));
  });
  afterAll(async () => {
    for (const each of mirrors) each.close();
    await sandbox.close();
  });

  /** The same server under another address. */
  async function mirror(host: string): Promise<Server> {
    const server = createServer((socket) => {
      const link = connect(port, '127.0.0.1');
      socket.pipe(link).pipe(socket);
      for (const each of [socket, link]) each.on('error', () => undefined);
    });
    server.listen({ port, host });
    await once(server, 'listening');
    return server;
  }

  const check = (name: string, ...options: readonly string[]): Promise<Ended> =>
    run(pathOf('unshare'), [
      ...['--mount', '--map-root-user', 'sh', '-c', 'mount --bind "$1" /etc/hosts && shift && exec "$@"', 'sh', hosts],
      ...[CHECK_POP3, '-H', name, '-p', String(port), '--connection-type', 'plaintext', '-u', 'probe@example.com'],
      ...['--password-file', passwordFile, '--light-mode', '-v', ...options],
    ]);

  test('is tested address by address on request, with a line each', async () => {
    const { code, stdout } = await check('farm.example.com', '--all-addresses', '-c', '20');
    expect(stdout).toMatch(
      /^POP3 OK - farm\.example\.com: 2 addresses, 2 ok \| '127\.0\.0\.\d::time'=\d\.\d{3}s;;20;0 '127\.0\.0\.\d::time'=\S+\n/,
    );
    expect(stdout).toMatch(/\n\[OK\] 127\.0\.0\.1: logon \d+ ms/);
    expect(stdout).toMatch(/\n\[OK\] 127\.0\.0\.9: logon \d+ ms/);
    expect(code).toBe(0);
  });

  test('is as bad as the worst of it, and that comes first', async () => {
    const { code, stdout } = await check('half.example.com', '--all-addresses');
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^POP3 CRITICAL - half\.example\.com: 2 addresses, 1 critical, 1 ok \| /);
    expect(lines[1]).toMatch(/^\[CRITICAL\] 127\.0\.0\.8: connection-refused, /);
    expect(lines[2]).toMatch(/^\[OK\] 127\.0\.0\.1: logon /);
    expect(code).toBe(2);
  });

  test('is good enough with one that answers otherwise', async () => {
    const { code, stdout } = await check('half.example.com');
    expect(code).toBe(0);
    expect(stdout).toContain('connection: 127.0.0.1 port');
  });

  test('by IPv6 alone', async () => {
    const { code, stdout } = await check('six.example.com', '-6');
    expect(stdout).toContain('connection: ::1 port');
    expect(code).toBe(0);
    const { line } = await check('only-six.example.com', '-4');
    expect(line).toContain('dns-');
  });

  test('by an IPv6 literal, in brackets or not', async () => {
    for (const literal of ['::1', '[::1]', '0:0:0:0:0:0:0:1']) {
      expect(await check(literal)).toMatchObject({ code: 0 });
    }
  });

  test('a name without addresses has no addresses to test', async () => {
    const { line } = await check('nowhere.invalid', '--all-addresses', '-t', '20');
    expect(line).toMatch(/^POP3 (CRITICAL|UNKNOWN) - nowhere\.invalid: dns-/);
  });
});
