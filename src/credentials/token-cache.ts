import type { TokenGrant, TokenPlan } from '../probe/world.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { readRegularFile } from '../runtimes/node/files.ts';
import { openState, type StateFolder } from '../runtimes/node/state.ts';
import { isRefreshToken, isToken } from './token-answer.ts';

/** What is kept of an answer. Times are seconds since 1970. */
export interface Kept {
  /** Null where the next run has to ask. */
  readonly accessToken: string | null;
  readonly obtainedAt: number;
  readonly expiresAt: number;
  /** The refresh token that has taken the place of the one given, or null. */
  readonly refreshToken: string | null;
}

export interface TokenCache {
  /** What is kept, or null where there is nothing, or nothing to be trusted. */
  readonly read: () => Kept | null;
  /** Keeps it, if it can be: a run that cannot remember asks again the next time, and fails for nothing. */
  readonly write: (kept: Kept) => void;
}

/**
 * Where the tokens of one plan are kept: a file of the state folder. Its name is made of everything that shapes a token,
 * the secrets too, so that a changed one finds nothing of the old one's. What is in the name tells nobody a secret:
 * those of identity providers are made by machines, and are not to be guessed.
 *
 * The file is not encrypted, its mode is its protection. Whatever could decrypt it would have to lie beside it for a
 * check that runs unattended, as the client secret or refresh token does already: and that is worth more than a token
 * for an hour.
 */
export function openTokenCache(plan: TokenPlan): TokenCache {
  const name = nameFor(plan);
  let folder: StateFolder;
  try {
    folder = openState(plan.stateDir);
  } catch {
    return { read: () => null, write: () => undefined };
  }
  return {
    read() {
      try {
        return keptIn(`${folder.path}/${name}`);
      } catch {
        return null; // not there, or not for us to read, or damaged
      }
    },
    write(kept) {
      try {
        folder.write(name, `${JSON.stringify({ version: VERSION, ...kept })}\n`);
      } catch {
        // A full disk, a folder that is read-only.
      }
    },
  };
}

const VERSION = 1;

function nameFor({ url, clientId, scope, grant }: TokenPlan): string {
  const secrets = digest([grant.kind === 'refresh-token' ? grant.refreshToken.reveal() : null, ...proofOf(grant)]);
  return `token-${digest([url, clientId, scope, grant.kind, secrets]).slice(0, 24)}.json`;
}

function proofOf({ proof }: TokenGrant): readonly (string | null)[] {
  if (proof === null) return [null];
  return proof.kind === 'secret'
    ? [proof.kind, proof.secret.reveal()]
    : [proof.kind, proof.certificate, proof.key.reveal()];
}

const digest = (parts: readonly (string | null)[]): string =>
  builtin.crypto().createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** @throws Error for what cannot be read, SyntaxError for what is no JSON */
function keptIn(path: string): Kept | null {
  const { octets, mode, uid } = readRegularFile(path);
  // One that somebody else has written could have us log on as whom he likes. Windows has neither owner nor mode here.
  const user = process.geteuid?.();
  if (user !== undefined && (uid !== user || (mode & 0o077) !== 0)) return null;
  const read = JSON.parse(octets.toString('utf8')) as Readonly<Record<string, unknown>> | null;
  const { version, accessToken, obtainedAt, expiresAt, refreshToken } = read ?? {};
  const isWhole =
    version === VERSION &&
    (accessToken === null || isToken(accessToken)) &&
    Number.isSafeInteger(obtainedAt) &&
    Number.isSafeInteger(expiresAt) &&
    (expiresAt as number) >= (obtainedAt as number) &&
    (refreshToken === null || isRefreshToken(refreshToken));
  return isWhole ? ({ accessToken, obtainedAt, expiresAt, refreshToken } as Kept) : null;
}

/** Seconds a token must be good for yet, so that it does not expire in the middle of a run. */
const MARGIN = 300;

/** Seconds by which a clock may have been put back. */
const SKEW = 300;

/**
 * The kept access token that may be used, or null. One that lasts less than 50 minutes need not be good for five yet but
 * for a tenth of that. One of the future was obtained by a wrong clock: nobody knows when it expires.
 *
 * @param now seconds since 1970
 */
export function usableToken(kept: Kept | null, now: number): string | null {
  if (kept === null) return null;
  const { accessToken, obtainedAt, expiresAt } = kept;
  const margin = Math.min(MARGIN, (expiresAt - obtainedAt) / 10);
  return obtainedAt <= now + SKEW && now + margin < expiresAt ? accessToken : null;
}
