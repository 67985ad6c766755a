import { createHmac } from 'node:crypto';
import type { DovecotOptions } from './dovecot.ts';

const ISSUER = 'https://issuer.example.com';
const KEY = 'a key of these tests alone, for HS256';

/** A Dovecot that verifies access tokens by itself, and takes `tokenFor` of somebody for his logon. */
export const VERIFYING_TOKENS: Pick<DovecotOptions, 'mechanisms' | 'files' | 'config'> = {
  mechanisms: ['plain', 'xoauth2', 'oauthbearer'],
  files: {
    'oauth2.conf.ext': (place) =>
      [
        'introspection_mode = local',
        `local_validation_key_dict = fs:posix:prefix=${place}/jwt/`,
        'username_attribute = email',
        `issuers = ${ISSUER}`,
        '',
      ].join('\n'),
    'jwt/default/HS256/default': Buffer.from(KEY).toString('base64'),
  },
  config: (place) =>
    `passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = ${place}/oauth2.conf.ext\n}\n`,
};

/** An access token (RFC 7519), signed with HMAC; seconds count from now. */
export function tokenFor(
  user: string,
  { validFromS, validToS, key = KEY }: { validFromS: number; validToS: number; key?: string },
): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: ISSUER,
    email: user,
    sub: user,
    azp: 'default',
    iat: now + validFromS,
    nbf: now + validFromS,
    exp: now + validToS,
  };
  const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encoded({ alg: 'HS256', typ: 'JWT', kid: 'default' })}.${encoded(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}
