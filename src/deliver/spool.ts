import { ProbeFailure } from '../dialogue/failure.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { LONGEST_FILE } from '../runtimes/node/files.ts';
import { lock } from '../runtimes/node/lock.ts';
import { openState, type StateFolder } from '../runtimes/node/state.ts';
import type { PassiveResult } from './destination.ts';

/**
 * Where results wait for one platform, in files of the state folder: each run adds files of its own, so that none ever
 * writes over what another left, and whoever holds the lock takes all of them.
 */
export interface Spool {
  /** Puts results into it. */
  readonly add: (results: readonly PassiveResult[]) => void;
  /** Keeps other runs from delivering until it is closed; false while another one does. */
  readonly lock: (untilMs: number) => boolean;
  /** All that waits, sorted out. Only with the lock. */
  readonly read: (now: number) => Waiting;
  /** What is left of what was read, and what was delivered. Only with the lock. */
  readonly settle: (left: readonly PassiveResult[], delivered: readonly PassiveResult[], now: number) => void;
  readonly close: () => void;
}

export interface Waiting {
  /** The newest of each service, the oldest first. */
  readonly results: readonly PassiveResult[];
  /** How many were dropped for being older than they may be. */
  readonly expired: number;
  /** Files that could not be read; they are kept under these names, out of the way. */
  readonly damaged: readonly string[];
}

/**
 * @param destination the name of the platform
 * @param maxAgeMs what waits for longer is dropped; so long is remembered what was delivered
 * @throws Error that tells why there is no folder
 */
export function openSpool(destination: string, stateDir: string | null, maxAgeMs: number): Spool {
  const folder = openState(stateDir);
  const id = builtin.crypto().createHash('sha256').update(destination).digest('hex').slice(0, 12);
  const waitingFiles = `spool-${id}-`;
  const marksFile = `delivered-${id}.json`;
  let release: (() => void) | null = null;
  let taken: readonly string[] = [];
  let count = 0;
  const add = (results: readonly PassiveResult[]): void => {
    for (const some of portions(results))
      folder.write(
        `${waitingFiles}${Date.now()}-${process.pid}-${count++}.json`,
        JSON.stringify({ version: 1, results: some }),
      );
  };
  return {
    add,
    lock(untilMs) {
      release ??= lock(`${folder.path}/spool-${id}.lock`, untilMs);
      return release !== null;
    },
    read(now) {
      const files = folder.list(waitingFiles).map((name) => ({ name, results: resultsIn(folder, name) }));
      taken = files.filter(({ results }) => results !== null).map(({ name }) => name);
      const marks = marksIn(folder, marksFile, now);
      const newest = new Map<string, PassiveResult>();
      let expired = 0;
      for (const result of files.flatMap(({ results }) => results ?? [])) {
        const key = keyOf(result);
        if (result.ended <= (marks.get(key) ?? 0)) continue; // a newer one is there already
        if (result.ended > (newest.get(key)?.ended ?? 0)) newest.set(key, result);
      }
      for (const [key, { ended }] of newest) {
        if (now - ended <= maxAgeMs) continue;
        newest.delete(key);
        expired++;
      }
      return {
        results: [...newest.values()].sort((a, b) => a.ended - b.ended),
        expired,
        damaged: files.filter(({ results }) => results === null).map(({ name }) => setAside(folder, name)),
      };
    },
    settle(left, delivered, now) {
      const marks = marksIn(folder, marksFile, now);
      for (const result of delivered) marks.set(keyOf(result), result.ended);
      // What is older than results may be needs no mark: nothing that old is delivered.
      const kept = [...marks].filter(([, ended]) => now - ended <= maxAgeMs);
      if (delivered.length > 0) folder.write(marksFile, JSON.stringify({ version: 1, delivered: kept }));
      // First what is left, then away with what was read: a crash between the two delivers again, and loses nothing.
      add(left);
      for (const name of taken) folder.remove(name);
      taken = [];
    },
    close() {
      release?.();
      release = null;
    },
  };
}

const keyOf = ({ host, service }: PassiveResult): string => `${host}\n${service}`;

/** Files are read whole, so they are written small. */
function portions(results: readonly PassiveResult[]): readonly (readonly PassiveResult[])[] {
  const all: PassiveResult[][] = [];
  let room = 0;
  for (const result of results) {
    const length = Buffer.byteLength(JSON.stringify(result));
    if (room < length) {
      all.push([]);
      room = LONGEST_FILE / 2;
    }
    room -= length;
    (all[all.length - 1] as PassiveResult[]).push(result);
  }
  return all;
}

/** Null for what cannot be read; nothing for what has gone meanwhile. */
function resultsIn(folder: StateFolder, name: string): readonly PassiveResult[] | null {
  try {
    const content = folder.read(name);
    if (content === null) return [];
    const { results } = JSON.parse(content.toString('utf8')) as { results?: unknown };
    return Array.isArray(results) && results.every(isResult) ? results : null;
  } catch {
    return null;
  }
}

function isResult(value: unknown): value is PassiveResult {
  const { host, service, state, output, perfdata, json, began, ended } = (value ?? {}) as Partial<
    Record<keyof PassiveResult, unknown>
  >;
  return (
    [host, service, output, json].every((each) => typeof each === 'string') &&
    [state, began, ended].every((each) => Number.isFinite(each)) &&
    Array.isArray(perfdata) &&
    perfdata.every((each) => typeof each === 'string')
  );
}

function setAside(folder: StateFolder, name: string): string {
  const aside = `damaged-${name}`;
  folder.rename(name, aside);
  return `${folder.path}/${aside}`;
}

/** When the newest result of each service was delivered. A clock that was set back makes its marks void. */
function marksIn(folder: StateFolder, name: string, now: number): Map<string, number> {
  try {
    const content = folder.read(name);
    const { delivered } = JSON.parse(content?.toString('utf8') ?? '{}') as { delivered?: readonly [string, number][] };
    return new Map((delivered ?? []).filter(([, ended]) => ended <= now));
  } catch {
    return new Map();
  }
}

/** Why nothing can be kept. */
export const unkept = (problem: unknown): ProbeFailure =>
  problem instanceof ProbeFailure
    ? problem
    : new ProbeFailure('local-resources', `nothing can be kept for later: ${(problem as Error).message}`);
