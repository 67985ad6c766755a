import { describe, expect, test } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { Secret } from '../src/dialogue/secret.ts';
import { choose, LOGIN_METHODS, type LoginMethod } from '../src/pop3/choice.ts';
import type { Credential } from '../src/sasl/mechanism.ts';
import { transcripts } from './support/transcript.ts';

const CREDENTIALS: Readonly<Record<Credential['kind'], Credential>> = {
  password: { kind: 'password', userName: 'alice', password: new Secret('correct horse') },
  bearer: { kind: 'bearer', userName: 'alice', token: new Secret('e30.e30.') },
  certificate: { kind: 'certificate', userName: 'alice' },
};

/** What the link is: in clear, or under TLS of a version, which decides what SASL can be tied by. */
const LINKS = {
  plaintext: { isProtected: false, bindings: new Map() },
  'TLS 1.2': { isProtected: true, bindings: new Map([['tls-unique', new Uint8Array(12)]]) },
  'TLS 1.3': { isProtected: true, bindings: new Map([['tls-exporter', new Uint8Array(32)]]) },
  TLS: { isProtected: true, bindings: new Map() },
} as const;

/** @param offers USER and the mechanisms of CAPA; null where the server does not know that */
function chosen(
  offers: string | null,
  link: keyof typeof LINKS,
  credential: Credential,
  method: LoginMethod = 'auto',
): string {
  const names = offers?.split(' ').filter((name) => name !== '') ?? [];
  const mechanisms = names.filter((name) => name !== 'USER');
  const capabilities =
    offers === null
      ? null
      : new Map<string, readonly string[]>([
          ...(names.includes('USER') ? [['USER', []] as const] : []),
          ...(mechanisms.length > 0 ? [['SASL', mechanisms] as const] : []),
        ]);
  const footing = { capabilities, greeting: null, host: 'mail.example.com', port: 995, ...LINKS[link] };
  try {
    const way = choose({ ...credential, method }, footing);
    return typeof way === 'string' ? way : way.name;
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    return `${problem.reason}: ${problem.message}`;
  }
}

const EVERYTHING = 'USER PLAIN LOGIN CRAM-MD5 NTLM SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS';

describe('auto takes the best of what is offered', () => {
  test.each<[string, keyof typeof LINKS, string]>([
    // A proof tells nothing. Tied to the link it would tell even of somebody between, but see `waysFor`.
    [EVERYTHING, 'TLS 1.2', 'SCRAM-SHA-256-PLUS'],
    ['USER PLAIN SCRAM-SHA-1-PLUS SCRAM-SHA-256', 'TLS 1.2', 'SCRAM-SHA-1-PLUS'],
    [EVERYTHING, 'TLS 1.3', 'SCRAM-SHA-256'],
    [EVERYTHING, 'TLS', 'SCRAM-SHA-256'],
    [EVERYTHING, 'plaintext', 'SCRAM-SHA-256'],
    ['USER PLAIN NTLM SCRAM-SHA-1', 'TLS 1.3', 'SCRAM-SHA-1'],
    ['scram-sha-256', 'TLS 1.3', 'SCRAM-SHA-256'],
    // Under TLS the password may be told, and a digest is worse.
    ['USER PLAIN LOGIN CRAM-MD5 NTLM', 'TLS 1.3', 'user'],
    ['LOGIN PLAIN CRAM-MD5', 'TLS 1.3', 'PLAIN'],
    ['LOGIN CRAM-MD5', 'TLS 1.3', 'LOGIN'],
    ['NTLM CRAM-MD5', 'TLS 1.3', 'CRAM-MD5'],
    ['NTLM GSSAPI', 'TLS 1.3', 'NTLM'],
    // In clear a digest tells less than the password itself.
    ['USER PLAIN LOGIN CRAM-MD5 NTLM', 'plaintext', 'CRAM-MD5'],
    ['USER PLAIN NTLM', 'plaintext', 'NTLM'],
    ['USER PLAIN', 'plaintext', 'user'],
    ['LOGIN PLAIN', 'plaintext', 'PLAIN'],
  ])('%s over %s: %s', (offers, link, way) => {
    expect(chosen(offers, link, CREDENTIALS.password)).toBe(way);
  });

  test('what USER and PASS should not say goes by PLAIN, and by them where there is nothing else', () => {
    const password = new Secret('übung');
    expect(chosen('USER PLAIN', 'TLS 1.3', { kind: 'password', userName: 'alice', password })).toBe('PLAIN');
    expect(chosen('USER', 'TLS 1.3', { kind: 'password', userName: 'alice', password })).toBe('user');
  });

  test.each<[string | null, Credential['kind'], string]>([
    ['PLAIN XOAUTH2 OAUTHBEARER', 'bearer', 'OAUTHBEARER'],
    ['PLAIN XOAUTH2', 'bearer', 'XOAUTH2'],
    ['USER PLAIN EXTERNAL', 'certificate', 'EXTERNAL'],
    [null, 'password', 'user'],
  ])('%s for a %s: %s', (offers, kind, way) => {
    expect(chosen(offers, 'TLS 1.3', CREDENTIALS[kind])).toBe(way);
  });
});

describe('where nothing fits, what is offered is told', () => {
  test.each<[string | null, keyof typeof LINKS, Credential['kind'], LoginMethod, string]>([
    ['GSSAPI DIGEST-MD5', 'TLS 1.3', 'password', 'auto', 'the server offers GSSAPI, DIGEST-MD5'],
    ['', 'TLS 1.3', 'password', 'auto', 'the server offers no way to log on'],
    ['USER PLAIN XOAUTH2', 'TLS 1.3', 'certificate', 'auto', 'the server offers USER, PLAIN, XOAUTH2'],
    ['USER PLAIN EXTERNAL', 'TLS 1.3', 'bearer', 'auto', 'the server offers USER, PLAIN, EXTERNAL'],
    ['SCRAM-SHA-256-PLUS', 'plaintext', 'password', 'auto', 'the server offers SCRAM-SHA-256-PLUS'],
    ['USER PLAIN', 'TLS 1.3', 'password', 'cram-md5', 'the server offers USER, PLAIN, not CRAM-MD5'],
    ['PLAIN NTLM PLAIN', 'TLS 1.3', 'password', 'cram-md5', 'the server offers PLAIN, NTLM, not CRAM-MD5'],
    ['XOAUTH2', 'TLS 1.3', 'bearer', 'oauthbearer', 'the server offers XOAUTH2, not OAUTHBEARER'],
    ['SCRAM-SHA-1-PLUS', 'plaintext', 'password', 'scram-sha-1-plus', 'SCRAM-SHA-1-PLUS wants a TLS link that'],
    [null, 'TLS 1.3', 'bearer', 'auto', 'the server does not know CAPA: name the mechanism by --auth'],
    [null, 'TLS 1.3', 'certificate', 'auto', 'the server does not know CAPA: name the mechanism by --auth'],
  ])('%s over %s, a %s, --auth %s', (offers, link, kind, method, words) => {
    expect(chosen(offers, link, CREDENTIALS[kind], method)).toContain(`mechanism-not-offered: ${words}`);
  });
});

describe('by name', () => {
  const TAKES: Readonly<Record<LoginMethod, Credential['kind']>> = {
    auto: 'password',
    user: 'password',
    apop: 'password',
    'scram-sha-256-plus': 'password',
    'scram-sha-1-plus': 'password',
    'scram-sha-256': 'password',
    'scram-sha-1': 'password',
    plain: 'password',
    login: 'password',
    'cram-md5': 'password',
    ntlm: 'password',
    oauthbearer: 'bearer',
    xoauth2: 'bearer',
    external: 'certificate',
  };
  const NAMED = LOGIN_METHODS.filter((method) => method !== 'auto');
  const UNLISTED: readonly LoginMethod[] = ['user', 'apop'];

  test.each(NAMED)('%s is taken where it is offered, whatever is better, and over any link', (method) => {
    const needsTls = method.endsWith('-plus');
    for (const link of needsTls ? (['TLS 1.2', 'TLS 1.3'] as const) : (['plaintext', 'TLS 1.3'] as const)) {
      const offers = `${EVERYTHING} OAUTHBEARER XOAUTH2 EXTERNAL`;
      expect(chosen(offers, link, CREDENTIALS[TAKES[method]], method).toLowerCase()).toBe(method);
    }
  });

  test.each(NAMED)('%s is tried where the server cannot say what it offers', (method) => {
    expect(chosen(null, 'TLS 1.3', CREDENTIALS[TAKES[method]], method).toLowerCase()).toBe(method);
  });

  test.each(NAMED)('%s is not tried where the server lists others; USER and APOP need no listing', (method) => {
    const way = chosen('GSSAPI', 'TLS 1.3', CREDENTIALS[TAKES[method]], method);
    if (UNLISTED.includes(method)) expect(way).toBe(method);
    else expect(way).toBe(`mechanism-not-offered: the server offers GSSAPI, not ${method.toUpperCase()}`);
  });

  test.each(NAMED)('%s has no use for what is not its own kind', (method) => {
    for (const kind of ['password', 'bearer', 'certificate'] as const) {
      if (kind === TAKES[method]) continue;
      expect(chosen(null, 'TLS 1.3', CREDENTIALS[kind], method)).toMatch(
        new RegExp(`^configuration: ${method.toUpperCase()} logs on with an? \\w+, not with an? \\w+$`),
      );
    }
  });
});

describe('one attempt', () => {
  const REFUSED = transcripts().filter(({ expected }) => expected.result.startsWith('failed in login'));

  test.each(REFUSED.map((transcript) => [transcript.name, transcript] as const))(
    '%s: after a refusal nothing else is tried',
    (_, { steps }) => {
      const said = steps.map((step) => (step.does === 'hears' ? step.line : ''));
      expect(said.filter((line) => /^(AUTH|PASS|APOP) /.test(line)).length).toBeLessThanOrEqual(1);
    },
  );

  test('there are such', () => {
    expect(REFUSED.length).toBeGreaterThan(30);
  });
});
