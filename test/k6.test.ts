import { isIP } from 'node:net';
import saslprep from '@mongodb-js/saslprep';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Recipe } from '../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { Secret } from '../src/dialogue/secret.ts';
import { familyOf, parseAddress } from '../src/runtimes/k6/address.ts';
import { k6Sources } from '../src/runtimes/k6/sources.ts';
import { hash as nodeHash } from '../src/runtimes/node/hashing.ts';
import { k6Recipe } from '../tools/k6-bundles.mjs';

describe('an address inside k6 is what it is to Node', () => {
  const ADDRESSES = [
    '192.0.2.1',
    '192.0.2.256',
    '192.0.2',
    '192.0.2.01',
    '192.0.2.1.5',
    ' 192.0.2.1',
    '192.0.2.1\n',
    '::',
    '::1',
    '1::',
    ':1:',
    '2001:db8::1',
    '2001:DB8::1',
    '2001:db8:0:0:0:0:0:1',
    '2001:db8:0:0:0:0:0:1:2',
    '2001:db8:0:0:0:0:1',
    '2001:db8::0:0:0:0:0:1',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8::',
    '1::3:4:5:6:7:8',
    '1::2::3',
    ':::',
    '::ffff:192.0.2.1',
    '::ffff:192.0.2.256',
    '64:ff9b::192.0.2.33',
    '1:2:3:4:5:6:192.0.2.1',
    '1:2:3:4:5:6:7:192.0.2.1',
    '192.0.2.1::',
    '192.0.2.1::1',
    '::192.0.2.1:1',
    '::12345',
    '::g',
    'fe80::1%eth0',
    'fe80::1%eth0.100',
    'fe80::1%',
    'fe80::1%eth 0',
    '%eth0',
    'mail.example.com',
    '',
    '1',
    '[::1]',
  ];

  test.each(ADDRESSES.map((text) => [text]))('%j', (text) => {
    expect(familyOf(text)).toBe(isIP(text));
    expect(parseAddress(text)).toEqual(isIP(text) === 0 ? null : { address: text, family: isIP(text) });
  });

  test('and whatever else looks like one', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      'ff',
      '2001',
      'db8',
      '192.0.2.1',
      '255',
      '256',
      ':',
      '::',
      '.',
      '%',
      'e0',
      '',
    );
    const looking = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(looking, (text) => familyOf(text) === isIP(text)),
      { numRuns: 3000 },
    );
  });
});

describe('what a script gives in the place of files', () => {
  const block = (label: string, content = 'AAAA'): string =>
    `-----BEGIN ${label}-----\n${content}\n-----END ${label}-----\n`;

  beforeAll(() => {
    Object.assign(globalThis, { __ENV: { POP3_PASSWORD: 'secret' } });
  });

  test('certificates are the blocks of a PEM text, remarks left out', () => {
    const pem = `Example CA\n${block('CERTIFICATE')}and another\r\n${block('CERTIFICATE', 'BBBB')}`;
    expect(k6Sources.certificates('ca', pem)).toBe(block('CERTIFICATE') + block('CERTIFICATE', 'BBBB'));
  });

  test.each([
    ['/etc/ssl/ca.pem', 'ca: no certificate in PEM; give what open() read, not the name of a file'],
    [block('PRIVATE KEY'), 'ca: no certificate in PEM'],
    [block('CERTIFICATE', 'not base 64'), 'ca: a certificate that cannot be read'],
    [block('CERTIFICATE', ''), 'ca: a certificate that cannot be read'],
  ])('%j is none', (pem, words) => {
    expect(() => k6Sources.certificates('ca', pem)).toThrow(new ProbeFailure('configuration', words));
  });

  test.each(['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'])('a key may be a %s', (label) => {
    expect(k6Sources.privateKey('clientKey', block('CERTIFICATE') + block(label), '')).toBe(block(label));
  });

  test('a key that is encrypted is none, and is not repeated', () => {
    expect(() => k6Sources.privateKey('clientKey', block('ENCRYPTED PRIVATE KEY', 'c2VjcmV0'), '')).toThrow(
      new ProbeFailure('configuration', 'clientKey: no unencrypted private key in PEM'),
    );
  });

  test('the environment is what k6 was given', () => {
    expect(k6Sources.environment('POP3_PASSWORD')).toBe('secret');
    expect(k6Sources.environment('toString')).toBeUndefined();
  });
});

describe('what is computed inside k6 is what Node computes', () => {
  let hash: (recipe: Recipe) => Promise<Uint8Array>;

  beforeAll(async () => {
    const { plugins = [], ...recipe } = k6Recipe();
    const { outputFiles } = await build({
      ...recipe,
      stdin: {
        contents: "import { hashWith } from './src/runtimes/k6/hashing.ts'; export const hash = hashWith(null);",
        resolveDir: process.cwd(),
      },
      external: [],
      write: false,
      plugins: [
        ...plugins,
        {
          name: 'k6',
          setup(host) {
            host.onResolve({ filter: /^k6\// }, ({ path }) => ({ path, namespace: 'k6' }));
            host.onLoad({ filter: /.*/, namespace: 'k6' }, () => ({ contents: 'export default {};' }));
          },
        },
      ],
    });
    const [bundle] = outputFiles ?? [];
    ({ hash } = await import(`data:text/javascript,${encodeURIComponent(bundle?.text ?? '')}`));
  });
  afterEach(() => void vi.useRealTimers());

  const DATES = [0, 1, 255, 256, 1_768_564_800_123, Date.UTC(1601, 0, 1), Date.UTC(9999, 11, 31)];
  test.each(DATES)('the time as Windows counts it, at %d', async (date) => {
    vi.useFakeTimers({ now: date, toFake: ['Date'] });
    expect([...(await hash({ compute: 'filetime' }))]).toEqual([...(await nodeHash({ compute: 'filetime' }))]);
  });

  /** What SASLprep makes of a text, or that it takes exception to it. */
  const byLibrary = (text: string): string => {
    try {
      return saslprep(text);
    } catch {
      return 'prohibited';
    }
  };
  const byBundle = (text: string): Promise<string> =>
    hash({ compute: 'saslprep', text: new Secret(text) }).then(
      (octets) => Buffer.from(octets).toString('utf8'),
      () => 'prohibited',
    );

  // RFC 4013 §3, and beside the edges of its tables.
  test.each([
    'I\u00adX',
    'user',
    'USER',
    '\u00aa',
    '\u2168',
    '\u0007',
    '\u06271',
    '\u0221',
    '\u0220',
    '\u00a0',
    'p\u00e4ss',
    '\u{10ffff}',
  ])('SASLprep of %j', async (text) => {
    expect(await byBundle(text)).toBe(byLibrary(text));
  });

  test('SASLprep of whatever there is', async () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(text, async (given) => {
        // Half a character is U+FFFD in UTF-8 either way, and prohibited.
        expect(await byBundle(given)).toBe(byLibrary(given));
      }),
      { numRuns: 2000 },
    );
  });
});
