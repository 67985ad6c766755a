import { generateKeyPairSync } from 'node:crypto';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { Getting, TokenPlan } from '../../src/probe/world.ts';
import { type Authority, createAuthority, type Identity } from '../../src/sandbox/authority.ts';

export const HOST = 'https://login.example.com';
export const PATH = '/tenant.example.com/oauth2/v2.0/token';
export const CLIENT_ID = '00000000-1111-2222-3333-444444444444';
export const SCOPE = 'https://mail.example.com/.default';

export const CLIENT_SECRET = 'fake~client+secret/&=%wörd';
export const REFRESH_TOKEN = '0.fake-refresh-token-given';
export const ROTATED = '0.fake-refresh-token-rotated';
export const ACCESS_TOKEN = 'eyJ.fake-access.token_1';

/** Client credentials with a secret; nothing is kept unless a folder is named. */
export const planFor = (stateDir: string, more: Partial<TokenPlan> = {}): TokenPlan => ({
  url: HOST + PATH,
  clientId: CLIENT_ID,
  scope: SCOPE,
  grant: { kind: 'client-credentials', proof: { kind: 'secret', secret: new Secret(CLIENT_SECRET) } },
  http: { family: 0, proxy: null, authorities: null },
  stateDir,
  ...more,
});

export const refreshing = (token = REFRESH_TOKEN): TokenPlan['grant'] => ({
  kind: 'refresh-token',
  refreshToken: new Secret(token),
  proof: { kind: 'secret', secret: new Secret(CLIENT_SECRET) },
});

/** The failure a token is not got for; no success, and no bug either. */
export async function failureOf({ done }: Getting): Promise<ProbeFailure> {
  const outcome = await done.then(
    () => 'a token',
    (problem: unknown) => problem,
  );
  if (!(outcome instanceof ProbeFailure)) throw new Error(`no ProbeFailure but ${String(outcome)}`);
  return outcome;
}

/** What a failure tells anybody. */
export const told = ({ message, said, stack }: ProbeFailure): string => [message, said, stack].join('\n');

let authority: Promise<Authority> | undefined;

/** A client certificate and its key. */
export async function clientIdentity(keyType: 'ec' | 'rsa2048' = 'rsa2048'): Promise<Identity> {
  authority ??= createAuthority('throw-away CA');
  return await (await authority).issue({ names: [], commonName: 'monitoring', usage: 'client', keyType });
}

/** A key of nobody's, in PEM. */
export const otherKey = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
