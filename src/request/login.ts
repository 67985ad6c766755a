import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { LOGIN_METHODS, type LoginMethod } from '../pop3/choice.ts';
import type { LoginPlan } from '../pop3/login.ts';
import type { BearerCredential, Credential } from '../sasl/mechanism.ts';
import { checkUserName, parseCredential, parseUserName } from './credential.ts';
import { wantsOauth } from './oauth.ts';
import { readSecret, settingWith, systemdCredential } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';
import { oneOf } from './values.ts';

/** Who logs on and how, and the token that sends where it is not the one that logs on. */
export interface Login {
  readonly plan: LoginPlan;
  /** A token that was given, or is to be had; null where there is none. */
  readonly token: BearerCredential | null;
  /** Whether the token is yet to be had. */
  readonly isPending: boolean;
}

/** What stands in the place of a token until the run has it. */
export const NO_TOKEN_YET: Secret = new Secret('');

/**
 * Who logs on: with a password, if there is one; else with a token, or with the certificate of the link (`--auth
 * external`). A token beside a password is for sending alone.
 *
 * @throws ProbeFailure `usage` or `configuration`
 */
export async function parseLogin(settings: Settings, sources: Sources): Promise<Login> {
  const method = parseMethod(settings);
  if (method === 'external') {
    if (settings['client-certificate'] === undefined) throw usage('--auth external needs --client-certificate');
    const userName = (settings['mailbox-credential'] as string | undefined) ?? '';
    if (userName !== '') checkUserName(userName, '--mailbox-credential');
    return { plan: { kind: 'certificate', userName, method }, token: null, isPending: false };
  }
  const user = parseUserName(settings);
  const token = await parseToken(settings, user, sources);
  const hasPassword = user.startsWith('@') || settingWith('password', settings) !== null;
  const credential = token !== null && !hasPassword ? token : await parseCredential(settings, sources);
  refuseUnfit(method, credential);
  return { plan: { ...credential, method }, token, isPending: wantsOauth(settings) };
}

async function parseToken(settings: Settings, userName: string, sources: Sources): Promise<BearerCredential | null> {
  const isAsked = wantsOauth(settings);
  if (isAsked && settingWith('oauth-token', settings) !== null) {
    throw usage('--oauth-client-id gets a token and --oauth-token has one: give one of them');
  }
  const token = isAsked ? NO_TOKEN_YET : await readSecret('oauth-token', settings, sources);
  if (token === null) return null;
  // RFC 6750 §2.1.
  if (!isAsked && !/^[\x21-\x7e]+$/.test(token.reveal())) {
    const where = settingWith('oauth-token', settings) ?? systemdCredential('oauth-token');
    throw new ProbeFailure('configuration', `--${where}: not a bearer token, which is one word of ASCII`);
  }
  if (!userName.startsWith('@')) checkUserName(userName, '--mailbox-credential');
  return { kind: 'bearer', userName, token };
}

/** What is left for later is refused by its name. */
const NOT_YET: readonly string[] = ['gssapi', 'digest-md5', 'kerberos'];

function parseMethod(settings: Settings): LoginMethod {
  const asked = String(settings.auth ?? '').toLowerCase();
  if (NOT_YET.includes(asked)) {
    throw usage(`--auth ${asked} is not there yet; there is ${LOGIN_METHODS.join(', ')}`);
  }
  return oneOf('--auth', settings.auth, LOGIN_METHODS, 'auto');
}

const BY_TOKEN: readonly LoginMethod[] = LOGIN_METHODS.filter((method) => /^(xoauth2|oauthbearer)$/.test(method));

/** A token is no password, and a password no token. */
function refuseUnfit(method: LoginMethod, { kind }: Credential): void {
  if (method === 'auto' || BY_TOKEN.includes(method) === (kind === 'bearer')) return;
  throw usage(
    kind === 'bearer'
      ? `--auth ${method} takes a password, and there is a token; ${BY_TOKEN.join(' and ')} take one`
      : `--auth ${method} takes a token: give --oauth-client-id or --oauth-token-file`,
  );
}
