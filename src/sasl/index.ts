import { cramMd5 } from './cram-md5.ts';
import { external } from './external.ts';
import { login } from './login.ts';
import type { Mechanism } from './mechanism.ts';
import { ntlm } from './ntlm.ts';
import { oauthbearer } from './oauthbearer.ts';
import { plain } from './plain.ts';
import { scramSha1, scramSha1Plus, scramSha256, scramSha256Plus } from './scram.ts';
import { xoauth2 } from './xoauth2.ts';

/** Every SASL mechanism we speak, by its name in lower case, the strongest first. */
export const SASL_METHODS = [
  'scram-sha-256-plus',
  'scram-sha-1-plus',
  'scram-sha-256',
  'scram-sha-1',
  'plain',
  'login',
  'cram-md5',
  'ntlm',
  'oauthbearer',
  'xoauth2',
  'external',
] as const;

export type SaslMethod = (typeof SASL_METHODS)[number];

export const MECHANISMS: Readonly<Record<SaslMethod, Mechanism>> = {
  'scram-sha-256-plus': scramSha256Plus,
  'scram-sha-1-plus': scramSha1Plus,
  'scram-sha-256': scramSha256,
  'scram-sha-1': scramSha1,
  plain,
  login,
  'cram-md5': cramMd5,
  ntlm,
  oauthbearer,
  xoauth2,
  external,
};
