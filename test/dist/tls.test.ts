import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server, type TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority, type Identity, type Leaf, selfSign } from '../../src/sandbox/authority.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { crossSignedAndExpired, withPssKey } from '../support/odd-certificates.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../support/run.ts';

const PASSWORD = keepSecret('correct-horse-battery-staple');
const DAY = 86_400_000;
const folder = privateFolder();
const passwordFile = folder.file('password', PASSWORD);
const caFile = join(folder.path, 'ca.pem');
const sandboxes: Sandbox[] = [];
const servers: Server[] = [];
let authority: Authority;

beforeAll(async () => {
  authority = await createAuthority('Example Test CA');
  writeFileSync(caFile, authority.certificate);
});
afterAll(async () => {
  await Promise.all(sandboxes.map((each) => each.close()));
  for (const server of servers) server.close();
});

const check = (port: number, ...options: readonly string[]): Promise<Ended> =>
  run(CHECK_POP3, [
    ...['-H', 'mail.example.com', '-I', '127.0.0.1', '-p', String(port), '-u', 'probe@example.com'],
    ...['--password-file', passwordFile, '--light-mode', '-t', '10', '--ca-file', caFile, ...options],
  ]);

/** A healthy POP3 server with a certificate of our making. */
async function presenting(identity: Identity): Promise<Sandbox> {
  const sandbox = await startSandbox({ password: PASSWORD, identity });
  sandboxes.push(sandbox);
  return sandbox;
}

const issue = (leaf: Partial<Leaf> = {}): Promise<Identity> =>
  authority.issue({ names: ['mail.example.com'], ...leaf });

/** A TLS server with terms of its own that greets like POP3. */
async function tlsServer(options: TlsOptions): Promise<number> {
  const { certificate, key } = await issue();
  const server = createServer({ cert: certificate, key, ...options }, (socket) => {
    socket.on('error', () => undefined);
    socket.write('+OK ready\r\n');
  });
  server.on('tlsClientError', () => undefined);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('a certificate at fault is refused over either kind of TLS, before a word of the logon', () => {
  test.each<[string, () => Promise<Identity>, string]>([
    [
      'expired',
      () => issue({ notBefore: new Date(Date.now() - 90 * DAY), notAfter: new Date(Date.now() - DAY) }),
      'certificate-expired, the certificate expired on',
    ],
    [
      'not yet valid',
      () => issue({ notBefore: new Date(Date.now() + DAY) }),
      'certificate-not-yet-valid, the certificate is valid from',
    ],
    [
      'for another host',
      () => issue({ names: ['www.example.com'] }),
      'certificate-wrong-host, the certificate is for www.example.com, not mail.example.com',
    ],
    [
      'for the host in its common name alone',
      () => issue({ names: [], commonName: 'mail.example.com' }),
      'certificate-wrong-host, the certificate is for no host name, not',
    ],
    ['for part of a label', () => issue({ names: ['m*.example.com'] }), 'certificate-wrong-host, '],
    ['for two labels at once', () => issue({ names: ['*.com'] }), 'certificate-wrong-host, '],
    [
      'with an RSA key of 1024 bits',
      () => issue({ keyType: 'rsa1024' }),
      'certificate-weak, the certificate has an RSA key of 1024 bits',
    ],
    ['for clients', () => issue({ usage: 'client' }), 'certificate-untrusted, the certificate is not one for servers'],
    [
      'of another authority',
      async () => (await createAuthority('Somebody Else')).issue({ names: ['mail.example.com'] }),
      'certificate-untrusted, Somebody Else is no trusted authority',
    ],
    [
      'without its intermediate',
      async () => {
        const { certificate, key } = await (await authority.intermediate('Example Intermediate CA')).issue({
          names: ['mail.example.com'],
        });
        return { certificate: certificate.split(/(?<=-----END CERTIFICATE-----\n?)/)[0] as string, key };
      },
      'certificate-untrusted, the server does not send the intermediate certificate of Example Intermediate CA',
    ],
    ['self-signed', () => selfSign(['mail.example.com']), 'certificate-untrusted, the certificate is self-signed'],
  ])('%s', async (_, identity, expected) => {
    const sandbox = await presenting(await identity());
    for (const [port, options] of [
      [sandbox.pop3Port, []],
      [sandbox.pop3sPort, ['-S']],
    ] as const) {
      const { code, line } = await check(port, ...options);
      expect(line).toMatch(/^POP3 CRITICAL - mail\.example\.com: certificate-/);
      expect(`${line}`).toContain(expected);
      expect(line).toContain(' certificate=');
      expect(code).toBe(2);
    }
    expect(sandbox.received).toEqual(['CAPA', 'STLS']);
  });

  test('signed with SHA-1', async () => {
    const { certificate, key } = await issue({ digest: 'SHA-1' });
    const port = await tlsServer({ cert: certificate, key, ciphers: 'DEFAULT@SECLEVEL=0' });
    const { code, line } = await check(port, '-S');
    expect(line).toContain('certificate-weak, a key or a signature in the chain is too weak');
    expect(code).toBe(2);
  });

  test('with an RSA-PSS key of 1024 bits', async () => {
    const { certificate, key } = await withPssKey(authority, 'mail.example.com', 1024);
    const { line } = await check(await tlsServer({ cert: certificate, key }), '-S');
    expect(line).toContain('certificate-weak, the certificate has an RSA key of 1024 bits');
  });

  test.each<[string, () => Promise<Identity>]>([
    ['self-signed', () => selfSign(['mail.example.com'], new Date(Date.now() - DAY))],
    [
      'of another authority',
      async () =>
        (await createAuthority('Somebody Else')).issue({
          names: ['mail.example.com'],
          notBefore: new Date(Date.now() - 90 * DAY),
          notAfter: new Date(Date.now() - DAY),
        }),
    ],
  ])('expired and %s: renewing it would not do', async (_, identity) => {
    const sandbox = await presenting(await identity());
    const { stdout } = await check(sandbox.pop3sPort, '-S', '-v');
    expect(stdout).toMatch(/CRITICAL - mail\.example\.com: certificate-expired, /);
    expect(stdout).toMatch(/\n\[WARNING\] certificate-untrusted, /);
  });

  test('several faults: the gravest on the line, the others not lost', async () => {
    const notAfter = new Date(Date.now() - DAY);
    const sandbox = await presenting(
      await issue({ names: ['www.example.com'], notBefore: new Date(Date.now() - 90 * DAY), notAfter }),
    );
    const { line, stdout } = await check(sandbox.pop3sPort, '-S', '-v');
    expect(line).toContain('CRITICAL - mail.example.com: certificate-expired, ');
    expect(stdout).toContain('\n[WARNING] certificate-wrong-host, ');
  });
});

describe('a good certificate', () => {
  test.each<[string, () => Promise<Identity>]>([
    ['with a wildcard for the whole left-most label', () => issue({ names: ['*.example.com'] })],
    ['with RSA 2048', () => issue({ keyType: 'rsa2048' })],
    [
      'with its intermediate',
      async () => (await authority.intermediate('Example Intermediate CA')).issue({ names: ['mail.example.com'] }),
    ],
    ['in capitals', () => issue({ names: ['MAIL.Example.COM'] })],
  ])('%s', async (_, identity) => {
    const sandbox = await presenting(await identity());
    expect(await check(sandbox.pop3sPort, '-S')).toMatchObject({ code: 0 });
  });

  test('is good though the server sends an old, expired one of its authority along', async () => {
    const { certificate, key } = await issue();
    const sandbox = await presenting({ certificate: certificate + (await crossSignedAndExpired(authority)), key });
    const { code, line } = await check(sandbox.pop3sPort, '-S');
    expect(line).toContain(' certificate=89;21:;7:');
    expect(code).toBe(0);
  });

  test('is shown with its days though the logon fails', async () => {
    const sandbox = await presenting(await issue());
    const wrong = folder.file('wrong', 'wrong');
    const { line } = await check(sandbox.pop3Port, '--password-file', wrong);
    expect(line).toMatch(/login-refused.* certificate=89;21:;7:$/);
  });

  test('is asked for by --sni, and judged by -H', async () => {
    const asked: (string | false)[] = [];
    const { certificate, key } = await issue();
    const port = await tlsServer({
      SNICallback: (name, done) => {
        asked.push(name);
        done(null);
      },
      cert: certificate,
      key,
    });
    await check(port, '-S', '-t', '1', '--sni', 'other.example.com');
    await check(port, '-S', '-t', '1');
    expect(asked).toEqual(['other.example.com', 'mail.example.com']);
  });
});

describe('a pinned certificate', () => {
  const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

  test('needs no authority and no name, however its fingerprint is written', async () => {
    const identity = await selfSign(['internal.example.com']);
    const sandbox = await presenting(identity);
    const colons = fingerprint(identity.certificate);
    for (const pin of [colons, colons.replaceAll(':', '').toLowerCase(), `SHA256:${colons}`]) {
      expect(await check(sandbox.pop3Port, '--pin', pin)).toMatchObject({ code: 0 });
    }
  });

  test('stands alone: what else the server sends is nothing to it', async () => {
    const identity = await issue();
    const sandbox = await presenting({
      ...identity,
      certificate: identity.certificate + (await crossSignedAndExpired(authority)),
    });
    const stranger = folder.file('stranger.pem', (await createAuthority('Somebody Else')).certificate);
    const { code, line } = await check(
      sandbox.pop3sPort,
      '-S',
      '--ca-file',
      stranger,
      '--pin',
      fingerprint(identity.certificate.split(/(?<=-----END CERTIFICATE-----\n?)/)[0] as string),
    );
    expect(line).toContain(' certificate=89;21:;7:');
    expect(code).toBe(0);
  });

  test('has still to be valid', async () => {
    const notAfter = new Date(Date.now() - DAY);
    const identity = await issue({ notBefore: new Date(Date.now() - 90 * DAY), notAfter });
    const sandbox = await presenting(identity);
    const { line } = await check(sandbox.pop3sPort, '-S', '--pin', fingerprint(identity.certificate));
    expect(line).toContain('certificate-expired');
  });

  test('is the only one that will do, though another be good', async () => {
    const sandbox = await presenting(await issue());
    const { line } = await check(sandbox.pop3sPort, '-S', '--pin', '00'.repeat(32));
    expect(line).toMatch(
      /certificate-untrusted, the certificate is not the one pinned; if it was renewed, pin its SHA-256 [0-9a-f]{64} - /,
    );
    expect(sandbox.received).toEqual([]);
  });

  test('may be one of several, while it is being replaced', async () => {
    const identity = await issue();
    const sandbox = await presenting(identity);
    expect(
      await check(sandbox.pop3sPort, '-S', '--pin', '00'.repeat(32), '--pin', fingerprint(identity.certificate)),
    ).toMatchObject({ code: 0 });
  });
});

describe('a handshake that fails is TLS, whatever was waited for', () => {
  test.each<[string, TlsOptions, string]>([
    [
      'a server of TLS 1.1',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      'tls-failed, the server has no TLS 1.2 or later',
    ],
    [
      'no cipher in common',
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-CCM:@SECLEVEL=0' },
      'tls-failed, the server shares no cipher with us',
    ],
    [
      'a client certificate demanded under TLS 1.3, which says so late',
      { requestCert: true, minVersion: 'TLSv1.3' },
      'tls-failed, the server demands a client certificate',
    ],
    ['a client certificate demanded under TLS 1.2', { requestCert: true, maxVersion: 'TLSv1.2' }, 'tls-failed, '],
  ])('%s', async (_, options, expected) => {
    const { code, line } = await check(await tlsServer({ ...options, ca: authority.certificate }), '-S');
    expect(line).toContain(`CRITICAL - mail.example.com: ${expected}`);
    expect(code).toBe(2);
  });

  test('a client certificate that is asked for is shown, and lets us in', async () => {
    const client = await issue({ usage: 'client', names: ['probe.example.com'] });
    const certificate = folder.file('client.pem', client.certificate);
    const key = folder.file('client.key', client.key);
    const both = folder.file('both.pem', client.certificate + client.key);
    const port = await tlsServer({ requestCert: true, ca: authority.certificate });
    for (const options of [
      ['--client-certificate', certificate, '--client-key', key],
      ['--client-certificate', both],
    ]) {
      const { line } = await check(port, '-S', '-t', '1', ...options);
      expect(line).toContain('timed-out in capabilities'); // past TLS and the greeting; this server says no more
    }
  });

  test.each<[string, () => readonly string[], string]>([
    ['a key that is not the certificate’s', () => [folder.file('k1', '')], 'no unencrypted private key'],
    ['a missing one', () => ['/nowhere/key.pem'], 'no such file'],
  ])('%s ends before the network', async (_, key, expected) => {
    const certificate = folder.file('c.pem', (await issue()).certificate);
    const { line } = await check(1, '-S', '--client-certificate', certificate, '--client-key', ...key());
    expect(line).toMatch(/^POP3 UNKNOWN - configuration, --client-key /);
    expect(line).toContain(expected);
  });

  test('a CA file with a damaged certificate ends before the network', async () => {
    const damaged = folder.file('damaged.pem', authority.certificate.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'));
    const { line } = await check(1, '-S', '--ca-file', damaged);
    expect(line).toContain(`configuration, --ca-file ${damaged}: a certificate that cannot be read`);
  });

  test('no close_notify after QUIT is no fault', async () => {
    const sandbox = await startSandbox({ password: PASSWORD, identity: await issue(), faults: ['no-close-notify'] });
    sandboxes.push(sandbox);
    expect(await check(sandbox.pop3sPort, '-S')).toMatchObject({ code: 0 });
  });
});
