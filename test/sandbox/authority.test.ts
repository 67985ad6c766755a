import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { dial, sandboxed } from './client.ts';

const run = promisify(execFile);
const openssl = spawnSync('openssl', ['version']).status === 0;
const names = ['localhost', 'mail.example.com', '127.0.0.1', '::1'];

test('a certificate names its hosts as DNS names and its addresses as IP addresses', async () => {
  const leaf = new X509Certificate((await (await createAuthority('Test CA')).issue({ names })).certificate);
  expect(leaf.subjectAltName).toBe(
    'DNS:localhost, DNS:mail.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
  );
  expect(leaf.subject).toBe('CN=localhost');
  expect(leaf.ca).toBe(false);
});

test('a certificate without names has no subjectAltName at all', async () => {
  const { certificate } = await (await createAuthority('Test CA')).issue({ names: [], commonName: 'old.example.com' });
  const leaf = new X509Certificate(certificate);
  expect(leaf.subjectAltName).toBeUndefined();
  expect(leaf.subject).toBe('CN=old.example.com');
});

test('a certificate is valid from an hour ago for 90 days, unless told otherwise', async () => {
  const authority = await createAuthority('Test CA');
  const leaf = new X509Certificate((await authority.issue({ names })).certificate);
  const hoursOld = (Date.now() - Date.parse(leaf.validFrom)) / 3_600_000;
  expect(hoursOld).toBeGreaterThan(0.99);
  expect(hoursOld).toBeLessThan(1.1);
  expect(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)).toBe(90 * 86_400_000);

  const notBefore = new Date('2020-01-01T00:00:00Z');
  const notAfter = new Date('2020-02-01T00:00:00Z');
  const expired = new X509Certificate((await authority.issue({ names, notBefore, notAfter })).certificate);
  expect([Date.parse(expired.validFrom), Date.parse(expired.validTo)]).toEqual([+notBefore, +notAfter]);
});

test('serial numbers differ and are positive', async () => {
  const authority = await createAuthority('Test CA');
  const serials = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const { serialNumber } = new X509Certificate((await authority.issue({ names })).certificate);
      return serialNumber;
    }),
  );
  expect(new Set(serials).size).toBe(5);
  for (const serial of serials) expect(serial).toMatch(/^[0-9A-F]{16,40}$/); // no minus sign
});

test.each([
  ['ec', 'ec', undefined],
  ['rsa2048', 'rsa', 2048],
  ['rsa1024', 'rsa', 1024],
] as const)('keys of type %s are made, and sign what their certificate verifies', async (keyType, kind, bits) => {
  const authority = await createAuthority('Test CA');
  const leaf = new X509Certificate((await authority.issue({ names, keyType })).certificate);
  expect(leaf.publicKey.asymmetricKeyType).toBe(kind);
  expect(leaf.publicKey.asymmetricKeyDetails?.modulusLength).toBe(bits);
  expect(leaf.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
});

test('what an intermediate issues carries the chain, the leaf first', async () => {
  const root = await createAuthority('Test Root');
  const intermediate = await root.intermediate('Test Intermediate, Unit=1');
  const deeper = await intermediate.intermediate('Test Deeper');
  const { certificate } = await deeper.issue({ names });
  const chain = certificate
    .split(/(?<=-----END CERTIFICATE-----)/)
    .filter((pem) => pem.trim() !== '')
    .map((pem) => new X509Certificate(pem));
  expect(chain.map(({ subject }) => subject)).toEqual([
    'CN=localhost',
    'CN=Test Deeper',
    'CN=Test Intermediate\\, Unit=1',
  ]);
  expect(chain[2]?.checkIssued(new X509Certificate(root.certificate))).toBe(true);
});

test('a client that trusts the root alone reaches a server that presents the chain', async () => {
  const root = await createAuthority('Test Root');
  const identity = await (await root.intermediate('Test Intermediate')).issue({ names });
  const sandbox = await sandboxed({ identity });
  const client = await dial(sandbox.pop3Port);
  await client.line();
  await client.ask('STLS');
  const secured = await client.secure({ ca: root.certificate });
  expect(secured.authorized).toBe(true);
});

test.skipIf(!openssl)('openssl verify agrees, purpose and names included (skipped without openssl)', async () => {
  const root = await createAuthority('Test Root');
  const intermediate = await root.intermediate('Test Intermediate');
  const directory = await mkdtemp(join(tmpdir(), 'authority-test-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const write = async (name: string, text: string) => {
    await writeFile(join(directory, name), text);
    return join(directory, name);
  };
  const ca = await write('ca.pem', root.certificate);
  const chain = await write('chain.pem', intermediate.certificate);
  const verify = async (purpose: string, file: string, ...more: string[]) => {
    const args = ['verify', '-x509_strict', '-CAfile', ca, '-untrusted', chain, '-purpose', purpose, ...more, file];
    return run('openssl', args).then(
      ({ stdout }) => stdout.trim().slice(-2),
      (failure: { stderr: string }) =>
        /error \d+ at \d+ depth lookup: ?(.*)/.exec(failure.stderr)?.[1] ?? failure.stderr,
    );
  };
  const leaves = {
    'ec.pem': await root.issue({ names }),
    'rsa.pem': await intermediate.issue({ names, keyType: 'rsa2048' }),
  };
  for (const [name, leaf] of Object.entries(leaves)) {
    const file = await write(name, leaf.certificate);
    expect(await verify('sslserver', file, '-verify_hostname', 'mail.example.com', '-verify_ip', '::1')).toBe('OK');
    expect(await verify('sslserver', file, '-verify_hostname', 'other.example.com')).toBe('hostname mismatch');
  }
  const client = await write('client.pem', (await root.issue({ names, usage: 'client' })).certificate);
  expect(await verify('sslclient', client)).toBe('OK');
  expect(await verify('sslserver', client)).toMatch(/unsuitable certificate purpose/);
  const old = { notBefore: new Date('2020-01-01'), notAfter: new Date('2020-02-01') };
  const expired = await write('expired.pem', (await root.issue({ names, ...old })).certificate);
  expect(await verify('sslserver', expired)).toBe('certificate has expired');
});
