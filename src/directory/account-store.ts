import { ProbeFailure } from '../dialogue/failure.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { readRegularFile } from '../runtimes/node/files.ts';
import { lock } from '../runtimes/node/lock.ts';
import { openState, type StateFolder } from '../runtimes/node/state.ts';
import { fileTimeOf } from './file-time.ts';

/** What this machine knows of the password of a test account. */
export interface Kept {
  readonly userName: string;
  /** The password that logged on, and `pwdLastSet` when it did; null before there was one. */
  readonly current: KeptPassword | null;
  /** One that was made, and of which nobody knows yet whether the directory has it. */
  readonly next: KeptPassword | null;
}

export interface KeptPassword {
  readonly password: string;
  /** Null for one that never logged on. */
  readonly passwordSet: string | null;
  /** `pwdLastSet` when it was found to be wrong; null where it never was. It is not tried again until that changes. */
  readonly refusedAt: string | null;
}

/**
 * Where the password of the test account of a site is kept: a file of the state folder that nobody else may read. Like the
 * tokens it is not encrypted, its mode is its protection: what could decrypt it would lie beside it.
 */
export interface AccountStore {
  readonly path: string;
  /**
   * @returns null where nothing is kept
   * @throws ProbeFailure `configuration` for what is there and cannot be used
   */
  readonly read: () => Kept | null;
  /** @throws ProbeFailure `configuration`, `local-resources` */
  readonly write: (kept: Kept) => void;
  /** Puts back what was there; null for nothing. */
  readonly restore: (kept: Kept | null) => void;
  /**
   * Does something while no other run of this machine may.
   *
   * @param limitMs how long that and the waiting for it may take
   * @throws ProbeFailure `already-running` where one keeps us waiting
   */
  readonly alone: <T>(limitMs: number, work: () => Promise<T>) => Promise<T>;
}

const VERSION = 1;

/**
 * @param stateDir the folder of the state, or null for the usual one
 * @throws ProbeFailure `configuration` where there is none
 */
export function openAccountStore(stateDir: string | null, domain: string, siteGuid: string): AccountStore {
  let folder: StateFolder;
  try {
    folder = openState(stateDir);
  } catch (problem) {
    throw refused(`the password of the test account has no place: ${(problem as Error).message}; give --state-dir`);
  }
  const key = JSON.stringify([domain.toLowerCase(), siteGuid]);
  const name = `test-account-${builtin.crypto().createHash('sha256').update(key).digest('hex').slice(0, 24)}.json`;
  const path = `${folder.path}/${name}`;
  const change = (how: () => void): void => {
    // What is lost with the next restart is no place for the only copy of a password.
    if (!folder.isLasting) throw refused(`${folder.path} is emptied when the machine restarts: give --state-dir`);
    try {
      how();
    } catch (problem) {
      throw new ProbeFailure('local-resources', `${path} cannot be written: ${(problem as Error).message}`);
    }
  };
  const write = (kept: Kept): void =>
    change(() => folder.write(name, `${JSON.stringify({ version: VERSION, domain, siteGuid, ...kept })}\n`, true));
  return {
    path,
    read: () => keptIn(path),
    write,
    restore: (kept) => (kept === null ? change(() => folder.remove(name)) : write(kept)),
    alone: (limitMs, work) =>
      alone(`${path}.lock`, limitMs, async () => {
        // Whoever was killed between writing and renaming left passwords lying about.
        for (const left of folder.list(`.${name}.`)) folder.remove(left);
        return await work();
      }),
  };
}

const refused = (why: string): ProbeFailure => new ProbeFailure('configuration', why);

/** There is nothing in the file that could be lost. */
export class Damaged extends ProbeFailure {}

function keptIn(path: string): Kept | null {
  let file: ReturnType<typeof readRegularFile>;
  try {
    file = readRegularFile(path);
  } catch (problem) {
    const { code = 'unknown' } = problem as { code?: string };
    if (code === 'ENOENT') return null;
    throw refused(`${path}: the password of the test account cannot be read (${code})`);
  }
  // One that somebody else has written could have us log on as whom he likes. Windows has neither owner nor mode here.
  const user = process.geteuid?.();
  if (user !== undefined && (file.uid !== user || (file.mode & 0o077) !== 0)) {
    throw refused(`${path}: a file with a password has to be ours alone (chown, chmod 600)`);
  }
  const read = parsed(file.octets.toString('utf8'));
  if (read?.version !== undefined && read.version !== VERSION) {
    throw refused(`${path} is of another version of this program: update it`);
  }
  if (read === null || !isKept(read)) {
    throw new Damaged('configuration', `${path} is damaged: -ResetTestAccountCredentials makes it anew`);
  }
  const { userName, current, next } = read;
  return { userName, current, next };
}

function parsed(content: string): (Readonly<Record<string, unknown>> & { readonly version?: unknown }) | null {
  try {
    const read: unknown = JSON.parse(content);
    return typeof read === 'object' ? (read as Readonly<Record<string, unknown>> | null) : null;
  } catch {
    return null;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTime = (value: unknown): boolean => value === null || (isText(value) && fileTimeOf(value) !== null);

function isKept(read: unknown): read is Kept {
  const { userName, current, next } = read as Partial<Record<keyof Kept, unknown>>;
  return isText(userName) && (current === null || isPassword(current)) && (next === null || isPassword(next));
}

function isPassword(read: unknown): boolean {
  if (typeof read !== 'object' || read === null) return false;
  const { password, passwordSet, refusedAt } = read as Partial<Record<keyof KeptPassword, unknown>>;
  return isText(password) && isTime(passwordSet) && isTime(refusedAt);
}

const AGAIN_MS = 100;
/** What holds it takes less than a second, unless the directory is slow. */
const MOST_WAIT_MS = 5_000;

async function alone<T>(path: string, limitMs: number, work: () => Promise<T>): Promise<T> {
  const until = Date.now() + Math.min(MOST_WAIT_MS, limitMs / 2);
  for (;;) {
    let release: (() => void) | null;
    try {
      release = lock(path, limitMs);
    } catch (problem) {
      throw new ProbeFailure('local-resources', `${path} cannot be made: ${(problem as Error).message}`);
    }
    if (release !== null) {
      try {
        return await work();
      } finally {
        release();
      }
    }
    if (Date.now() > until) throw new ProbeFailure('already-running', 'another run has the test account in its hands');
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
