import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { type Identity, selfSign } from '../src/sandbox/authority.ts';

const PASSWORD = 'correct horse';
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sources-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

let files = 0;
function written(content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, `file-${++files}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.reason).toBe('configuration');
    expect(problem.message).not.toContain(PASSWORD);
    expect(problem.message).not.toContain('\n');
    return problem.message;
  }
  throw new Error('it was read');
}

const secretFile = (path: string): string => nodeSources.file('--password-file', path, 'secret');

describe('a secret file', () => {
  test.each([0o400, 0o600, 0o640, 0o660, 0o440, 0o700])('of mode %o is read', (mode) => {
    expect(secretFile(written(PASSWORD, mode))).toBe(PASSWORD);
  });

  test.each([0o604, 0o644, 0o666, 0o444, 0o777, 0o404])('of mode %o is refused: everyone may read it', (mode) => {
    const path = written(PASSWORD, mode);
    const message = refusal(() => secretFile(path));
    expect(message).toContain(`--password-file ${path}`);
    expect(message).toContain('chmod');
  });

  test('that is public may lie open', () => {
    expect(nodeSources.file('--ca-file', written('public', 0o644), 'public')).toBe('public');
  });

  test.each([
    ['nothing', ''],
    ['blanks around it', '  a b  '],
    ['line ends, all of them', 'one\r\ntwo\n\n'],
    ['letters beyond ASCII', 'pässwörd 密码 📧'],
    ['control characters', 'a\0b\x1b'],
  ])('is handed over as it is: %s', (_, content) => {
    expect(secretFile(written(content))).toBe(content);
  });

  test('that Notepad wrote has no byte order mark in its password', () => {
    expect(secretFile(written(`\ufeff${PASSWORD}`))).toBe(PASSWORD);
  });
});

describe('a file that is none', () => {
  test('missing', () => {
    expect(refusal(() => secretFile(join(folder, 'missing')))).toMatch(/--password-file .*missing: no such file$/);
  });

  test('below a file', () => {
    expect(refusal(() => secretFile(join(written('x'), 'below')))).toContain('no such file');
  });

  test('a name with a NUL', () => {
    expect(refusal(() => secretFile('a\0b'))).toContain('--password-file');
  });

  test('an empty name', () => {
    expect(refusal(() => secretFile(''))).toContain('--password-file');
  });

  test('a directory', () => {
    const path = join(folder, 'directory');
    mkdirSync(path, { mode: 0o700 });
    expect(refusal(() => secretFile(path))).toMatch(/directory|regular file/);
  });

  test('a device', () => {
    expect(refusal(() => secretFile('/dev/zero'))).toContain('regular file');
  });

  test('a named pipe nobody writes to, without waiting for one', () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', ['-m', '600', path]);
    const began = Date.now();
    expect(refusal(() => secretFile(path))).toContain('regular file');
    expect(Date.now() - began).toBeLessThan(1000);
  });

  test('one this user may not read', () => {
    const path = written(PASSWORD, 0o000);
    // Root may read everything: then as somebody else.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.('nobody');
    try {
      expect(refusal(() => secretFile(path))).toContain('this user may not read it');
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('one beyond 4 MiB', () => {
    const path = written('x');
    truncateSync(path, 4 * 1024 * 1024 + 1);
    expect(refusal(() => secretFile(path))).toContain('4194304');
    truncateSync(path, 4 * 1024 * 1024);
    expect(secretFile(path)).toHaveLength(4 * 1024 * 1024);
  });

  test.each([
    ['Latin-1', [0x70, 0xe4, 0x73, 0x73]],
    ['UTF-16', [0xff, 0xfe, 0x70, 0x00]],
    ['a character cut short', [0x70, 0xc3]],
  ])('one that is not UTF-8: %s', (_, octets) => {
    const path = written(Uint8Array.from(octets));
    expect(refusal(() => secretFile(path))).toBe(`--password-file ${path}: not UTF-8`);
  });
});

describe('the environment', () => {
  test('gives what is set, the empty text too, and nothing for what is not', () => {
    vi.stubEnv('POP3_TEST_PASSWORD', PASSWORD);
    vi.stubEnv('POP3_TEST_EMPTY', '');
    expect(nodeSources.environment('POP3_TEST_PASSWORD')).toBe(PASSWORD);
    expect(nodeSources.environment('POP3_TEST_EMPTY')).toBe('');
    expect(nodeSources.environment('POP3_TEST_NOT_SET')).toBeUndefined();
    vi.unstubAllEnvs();
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('has no variable %s', (name) => {
    expect(nodeSources.environment(name)).toBeUndefined();
  });
});

describe('standard input', () => {
  const typed = (...chunks: Uint8Array[]): void => {
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(Readable.from(chunks) as unknown as typeof process.stdin);
  };

  test('is read to its end, a character may come in pieces', async () => {
    typed(Buffer.from('p'), Buffer.from([0xc3]), Buffer.from([0xa4]), Buffer.from('ss\n'));
    expect(await nodeSources.standardInput()).toBe('päss\n');
  });

  test('that Windows wrote has no byte order mark in its password, its line end is the reader’s', async () => {
    typed(Buffer.from(`\ufeff${PASSWORD}\r\n`));
    expect(await nodeSources.standardInput()).toBe(`${PASSWORD}\r\n`);
  });

  test('may be empty', async () => {
    typed();
    expect(await nodeSources.standardInput()).toBe('');
  });

  test.each([
    ['is not UTF-8', [Uint8Array.from([0xe4])], 'UTF-8'],
    ['never ends', Array.from({ length: 5 }, () => new Uint8Array(1024 * 1024)), '4194304'],
  ])('is refused when it %s', async (_, chunks, told) => {
    typed(...chunks);
    await expect(nodeSources.standardInput()).rejects.toThrow(
      expect.objectContaining({ reason: 'configuration', message: expect.stringContaining(told) }),
    );
  });
});

describe('whether there is a file', () => {
  test('is known without reading it', () => {
    expect(nodeSources.exists(written(PASSWORD, 0o644))).toBe(true);
    expect(nodeSources.exists(folder)).toBe(true);
    expect(nodeSources.exists(join(folder, 'missing'))).toBe(false);
    expect(nodeSources.exists(join(written('x'), 'below'))).toBe(false);
    expect(nodeSources.exists('')).toBe(false);
  });
});

describe('certificates', () => {
  const [one = '', other = ''] = rootCertificates;
  const certificates = (content: string): string => nodeSources.certificates('--ca-file', written(content, 0o644));
  const serials = (pem: string): string[] =>
    (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
      (each) => new X509Certificate(each).serialNumber,
    );
  const expected = serials(`${one}\n${other}`);

  test.each([
    ['one', `${one}\n`, expected.slice(0, 1)],
    ['two', `${one}\n${other}\n`, expected],
    ['with words between them', `Root One\n========\n${one}\n# the other\n${other}\n`, expected],
    ['with the line ends of Windows', `${one}\n${other}\n`.replace(/\n/g, '\r\n'), expected],
  ])('%s', (_, content, found) => {
    expect(expected).toHaveLength(2);
    expect(serials(certificates(content))).toEqual(found);
  });

  test.each([
    ['nothing', ''],
    ['no certificate', 'hello\n'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    ['one cut short', one.slice(0, 200)],
  ])('in a file that holds %s: refused', (_, content) => {
    expect(refusal(() => certificates(content))).toMatch(/^--ca-file .*: no certificate in PEM$/);
  });

  test.each([
    ['one that is not one', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a good one and one that lacks a line', `${one}\n${other.replace(/\n[^-\n]+\n/, '\n')}\n`],
    [
      'a good one and one with a line of zeros',
      `${one}\n${other.replace(/\n([^-\n]+)\n/, (_, line: string) => `\n${line.slice(0, 16)}${'A'.repeat(line.length - 16)}\n`)}\n`,
    ],
  ])('of which one cannot be read are refused, not passed over: %s', (_, content) => {
    const last = content.slice(content.lastIndexOf('-----BEGIN'));
    expect(() => new X509Certificate(last)).toThrow();
    expect(refusal(() => certificates(content))).toMatch(/^--ca-file .*: a certificate that cannot be read$/);
  });
});

describe('a private key', () => {
  let identity: Identity;
  let encrypted: string;
  beforeAll(async () => {
    identity = await selfSign(['probe.example.com']);
    const asOpenSsl = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    encrypted = createPrivateKey(identity.key).export(asOpenSsl) as string;
  });
  const key = (content: string, mode = 0o600): string =>
    nodeSources.privateKey('--client-key', written(content, mode), identity.certificate);

  test('that is another certificate’s is refused', async () => {
    const other = await selfSign(['other.example.com']);
    expect(refusal(() => key(other.key))).toContain('not the key of the client certificate');
  });

  test('is read, also where its certificate stands before it', () => {
    expect(key(identity.key)).toBe(identity.key);
    expect(key(`${rootCertificates[0]}\n${identity.key}`)).toContain(identity.key);
  });

  test.each([
    ['nothing', () => ''],
    ['a certificate alone', () => `${rootCertificates[0]}\n`],
    ['one with a passphrase', () => encrypted],
    ['one that is spoilt', () => identity.key.replace(/\n.{30}/, '\n')],
  ])('%s is refused', (_, content) => {
    expect(refusal(() => key(content()))).toMatch(/^--client-key .*: no unencrypted private key in PEM$/);
  });

  test('that everyone may read is refused', () => {
    expect(refusal(() => key(identity.key, 0o644))).toContain('chmod');
  });
});

describe('names and addresses', () => {
  test.each([
    ['192.0.2.1', 4],
    ['2001:db8::1', 6],
    ['::1', 6],
    ['::ffff:192.0.2.1', 6],
    ['fe80::1%eth0', 6],
    ['mail.example.com', 0],
    ['192.0.2', 0],
    ['192.0.2.256', 0],
    ['192.0.2.01', 0],
    ['0x7f.0.0.1', 0],
    ['[::1]', 0],
    ['2001:db8::1::', 0],
    ['::12345', 0],
    ['', 0],
  ])('%j is of family %d', (text, family) => {
    expect(nodeSources.family(text)).toBe(family);
  });

  // RFC 5891 and UTS 46: no mapping of ß to ss.
  test.each([
    ['müller.example', 'xn--mller-kva.example'],
    ['straße.example', 'xn--strae-oqa.example'],
    ['почта.example', 'xn--80a1acny.example'],
    ['MÜLLER.example', 'xn--mller-kva.example'],
    ['a b.example', ''],
  ])('%s is %j to DNS', (name, ascii) => {
    expect(nodeSources.ascii(name)).toBe(ascii);
  });
});
