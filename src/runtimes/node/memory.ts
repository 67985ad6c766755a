import { ProbeFailure } from '../../dialogue/failure.ts';
import { SHORTEST_KEY } from '../../probe/marker.ts';
import type { Left, LeftRun, Memory, MemoryTerms } from '../../probe/world.ts';
import { builtin } from './builtin.ts';
import { openToAll, readRegularFile } from './files.ts';
import { lock } from './lock.ts';
import { openState, type StateFolder } from './state.ts';

/** What runs remember of a mailbox, in the state folder: one file a mailbox, one lock, and the key of the markers. */
export function openMemory(mailbox: string, terms: MemoryTerms, untilMs: number): Memory | null {
  let trouble: string | null = null;
  const cannot = (error: unknown): void => {
    trouble ??= `what this run leaves behind will not be remembered: ${(error as Error).message}`;
  };
  const folder = attempt(() => openState(terms.stateDir), cannot);
  const name = builtin.crypto().createHash('sha256').update(mailbox).digest('hex').slice(0, 24);
  const release =
    folder === null ? noLock : attempt(() => lock(`${folder.path}/${name}.lock`, untilMs), cannot, noLock);
  if (release === null) return null;
  try {
    const key = keyFor(terms, folder, cannot);
    const left = folder === null ? NOTHING : leftIn(folder, `${name}.json`, cannot);
    return {
      key,
      left,
      trouble: () => trouble,
      keep(now) {
        if (folder !== null)
          attempt(() => folder.write(`${name}.json`, JSON.stringify({ version: 1, ...now })), cannot);
      },
      close: release,
    };
  } catch (problem) {
    release();
    throw problem;
  }
}

const noLock = (): void => undefined;

/** Does what may fail without failing the run. */
function attempt<T>(action: () => T, cannot: (error: unknown) => void): T | null;
function attempt<T, E>(action: () => T, cannot: (error: unknown) => void, otherwise: E): T | E;
function attempt<T, E>(action: () => T, cannot: (error: unknown) => void, otherwise: E | null = null): T | E | null {
  try {
    return action();
  } catch (error) {
    cannot(error);
    return otherwise;
  }
}

const NOTHING: Left = { runs: [], seen: [], deleted: [] };
const KEY_FILE = 'marker.key';

/**
 * The key of the markers: from the file named, where it must be; else from the state folder, where it is made once.
 * Where nothing can be kept it serves one run.
 */
function keyFor(terms: MemoryTerms, folder: StateFolder | null, cannot: (error: unknown) => void): Uint8Array {
  const { randomBytes } = builtin.crypto();
  if (terms.markerKeyFile !== null) return sharedKey(terms.markerKeyFile);
  if (folder === null) return randomBytes(SHORTEST_KEY);
  const path = `${folder.path}/${KEY_FILE}`;
  const kept = (): Uint8Array | null => {
    try {
      const content = folder.read(KEY_FILE);
      return content === null ? null : decoded(path, content.toString('latin1'));
    } catch (error) {
      if (error instanceof ProbeFailure) throw error;
      // Another key in its place, and nothing this machine has sent would ever be recognised again.
      throw refused(path, `the key of the markers cannot be read (${(error as { code?: string }).code ?? 'unknown'})`);
    }
  };
  const found = kept();
  if (found !== null) return found;
  const made = randomBytes(SHORTEST_KEY);
  // Two runs that make it at the same time agree on the first.
  attempt(() => folder.create(KEY_FILE, `${made.toString('base64')}\n`), cannot);
  return kept() ?? made;
}

function sharedKey(path: string): Uint8Array {
  let file: ReturnType<typeof readRegularFile>;
  try {
    file = readRegularFile(path);
  } catch (error) {
    throw refused(`--marker-key-file ${path}`, `cannot be read (${(error as { code?: string }).code ?? 'unknown'})`);
  }
  if (openToAll(file.mode) !== null) {
    throw refused(`--marker-key-file ${path}`, 'everyone may read or write it (chmod o-rw)');
  }
  return decoded(`--marker-key-file ${path}`, file.octets.toString('latin1'));
}

/** Base 64 of 32 octets or more: `openssl rand -base64 32` writes one. */
function decoded(where: string, content: string): Uint8Array {
  const text = content.trim();
  const key = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < SHORTEST_KEY) {
    throw refused(
      where,
      `not a key: one line of base 64 with ${SHORTEST_KEY} octets or more (openssl rand -base64 32)`,
    );
  }
  return key;
}

const refused = (where: string, why: string): ProbeFailure => new ProbeFailure('configuration', `${where}: ${why}`);

/** What is written there, as far as it can be read. A damaged file is worth a word, and nothing else is lost by it. */
function leftIn(folder: StateFolder, name: string, cannot: (error: unknown) => void): Left {
  try {
    const content = folder.read(name);
    if (content === null) return NOTHING;
    const read = JSON.parse(content.toString('utf8')) as Readonly<Record<string, unknown>> | null;
    return {
      runs: listIn(read?.runs).filter(isRun),
      seen: listIn(read?.seen).filter(isText),
      deleted: listIn(read?.deleted).filter(isText),
    };
  } catch {
    cannot(new Error(`${folder.path}/${name} is damaged, and is written anew`));
    return NOTHING;
  }
}

const listIn = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const isText = (value: unknown): value is string => typeof value === 'string';
const STATES: readonly unknown[] = ['unfinished', 'given-up', 'pending'] satisfies readonly LeftRun['state'][];

function isRun(value: unknown): value is LeftRun {
  const { run, sentAt, expiresAt, state, uids } = (value ?? {}) as Partial<Record<keyof LeftRun, unknown>>;
  return (
    isText(run) &&
    Number.isSafeInteger(sentAt) &&
    Number.isSafeInteger(expiresAt) &&
    STATES.includes(state) &&
    Array.isArray(uids) &&
    uids.every(isText)
  );
}
