import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import type { ExchangeServer } from '../../src/directory/exchange-server.ts';
import { serverBy } from '../../src/directory/identity.ts';

const GROUP = 'Exchange Administrative Group (FYDIBOHF23SPDLT)';

function server(name: string, guid: string, more: Partial<ExchangeServer> = {}): ExchangeServer {
  return {
    name,
    fqdn: `${name.toLowerCase()}.example.com`,
    dn: `CN=${name},CN=Servers,CN=${GROUP},CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=example,DC=com`,
    legacyDn: `/o=First Organization/ou=${GROUP}/cn=Configuration/cn=Servers/cn=${name}`,
    guid,
    site: 'Site-A',
    version: '15.2',
    notPop: null,
    hasMailboxes: true,
    ...more,
  };
}

const EX01 = server('EX01', '4ca5fda1-c399-4f1b-9b7e-0123456789ab');
const EX02 = server('EX02', '4ca5fda1-c399-4f1b-9b7e-0123456789ac');
/** Called as the host name of another one begins. */
const MBX01 = server('MBX01', '4ca5fda1-c399-4f1b-9b7e-0123456789ad', { fqdn: 'ex01.branch.example.com' });
const BARE = server('BARE', '', { guid: null, legacyDn: null });
const ALL = [EX01, EX02, MBX01, BARE];

const found = (given: string, servers: readonly ExchangeServer[] = ALL): string =>
  serverBy('--client-access-server', given, servers).dn;

function refusal(given: string, servers: readonly ExchangeServer[] = ALL): string {
  try {
    return `found ${found(given, servers)}`;
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.reason).toBe('configuration');
    return problem.message;
  }
}

/** Every form the cmdlet takes. */
const FORMS: readonly (readonly [string, string])[] = [
  ['name', 'EX01'],
  ['host name', 'ex01.example.com'],
  ['host name with its last dot', 'ex01.example.com.'],
  ['GUID', '4ca5fda1-c399-4f1b-9b7e-0123456789ab'],
  ['GUID in braces', '{4ca5fda1-c399-4f1b-9b7e-0123456789ab}'],
  ['ExchangeLegacyDN', `/o=First Organization/ou=${GROUP}/cn=Configuration/cn=Servers/cn=EX01`],
  ['distinguished name', EX01.dn],
  ['distinguished name with blanks', EX01.dn.replace(/,/g, ' , ')],
];

describe('a server is found by its', () => {
  test.each(FORMS)('%s', (_, given) => {
    expect(found(given)).toBe(EX01.dn);
    expect(found(given.toUpperCase())).toBe(EX01.dn);
    expect(found(given.toLowerCase())).toBe(EX01.dn);
  });

  test('name before the host name of another', () => {
    const named = server('ex01.branch.example.com', '4ca5fda1-c399-4f1b-9b7e-0123456789ae');
    expect(found('ex01.branch.example.com', [...ALL, named])).toBe(named.dn);
  });
});

describe('more than one server', () => {
  const twin = server('EX01', '4ca5fda1-c399-4f1b-9b7e-0123456789af', { dn: 'CN=EX01,CN=Old,DC=example,DC=com' });
  const both = `is more than one: ${EX01.dn}, ${twin.dn}`;

  test('of a name is an error that tells them apart', () => {
    expect(refusal('ex01', [...ALL, twin])).toBe(`--client-access-server: ex01 ${both}`);
    expect(refusal('EX01.example.com', [...ALL, twin])).toBe(`--client-access-server: EX01.example.com ${both}`);
  });

  test('is still found by what is its own', () => {
    for (const { dn, guid } of [EX01, twin]) {
      expect(found(dn, [...ALL, twin])).toBe(dn);
      expect(found(String(guid), [...ALL, twin])).toBe(dn);
    }
  });

  test('is listed up to five, and told how many there are', () => {
    const dns = Array.from({ length: 7 }, (_, at) => `CN=EX01,CN=Group ${at},DC=example,DC=com`);
    const said = refusal(
      'EX01',
      dns.map((dn) => ({ ...EX01, dn })),
    );
    expect(said).toBe(`--client-access-server: EX01 is more than one: ${dns.slice(0, 5).join(', ')} and 2 more`);
  });
});

describe('a server that is not there', () => {
  const NONE = 'is no server of the Exchange organisation';
  test.each<[string, string, string]>([
    ['is refused with those that are called alike', 'EX0', '; there is EX01, EX02, MBX01'],
    ['is refused with one that lacks a letter', 'BAR', '; there is BARE'],
    ['is refused with one that has a letter too many', 'BAREE', '; there is BARE'],
    ['is refused with one whose name is in it', 'BEX01', '; there is EX01'],
    ['is refused with those that have another letter', 'EX03', '; there is EX01, EX02'],
    ['is refused with what its distinguished name begins with', EX02.dn.replace('EX02', 'BAREX'), '; there is BARE'],
    ['is refused with what its host name begins with', 'bare.elsewhere.example', '; there is BARE'],
    ['is refused without any where none is alike', 'contoso', ''],
    ['is refused without any for a GUID', '4ca5fda1-c399-4f1b-9b7e-000000000000', ''],
    ['is refused without any for one letter, which every name may hold', 'x', ''],
  ])('%s', (_, given, near) => {
    expect(refusal(given)).toBe(
      `--client-access-server: ${given.length > 79 ? `${given.slice(0, 79)}…` : given} ${NONE}${near}`,
    );
  });

  test('is refused where there is no server at all', () => {
    expect(refusal('EX01', [])).toBe(`--client-access-server: EX01 ${NONE}`);
  });
});

describe('what looks like a filter', () => {
  const SHARP = ['*', 'EX01*', '*)(cn=*', 'EX01)(cn=*', '(cn=EX01)', '(|(cn=*))', 'EX01\0', String.raw`EX0\31`];
  const FILTERS = [
    ...SHARP,
    String.raw`EX01\2a`,
    'EX01\\',
    '(objectClass=*)',
    '&',
    'EX01)',
    'EX01\n',
    "EX01' or '1'='1",
  ];

  test.each(FILTERS)('finds nothing as a name: %j', (given) => {
    expect(refusal(given)).toContain('is no server of the Exchange organisation');
  });

  test.each(FORMS)('finds nothing in the form of a %s', (_, form) => {
    for (const sharp of SHARP) {
      for (const given of [`${form}${sharp}`, `${sharp}${form}`, form.replace('1', `1${sharp}`)]) {
        expect(refusal(given), given).toContain('is no server of the Exchange organisation');
      }
    }
  });

  test('is told in one line, whatever it is', () => {
    const unit = fc.constantFrom(
      '*',
      '(',
      ')',
      '\\',
      '\0',
      '\n',
      '\r',
      ',',
      '=',
      '/',
      '{',
      '}',
      '|',
      'E',
      'X',
      '0',
      '1',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 60 }), (given) => {
        fc.pre(!/^EX01$/i.test(given));
        expect(refusal(given)).toMatch(
          /^--client-access-server: [^\p{Cc}]* is no server of the Exchange organisation[^\p{Cc}]*$/u,
        );
      }),
    );
  });
});
