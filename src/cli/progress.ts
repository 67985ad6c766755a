import type { Verdict } from '../verdict/judge.ts';

/** Where progress is shown: a terminal somebody watches. */
export interface Screen {
  readonly columns: number;
  readonly write: (text: string) => void;
}

export interface Progress {
  readonly began: (label: string) => void;
  readonly ended: (label: string, verdict: Verdict) => void;
  /** Takes it off the screen until it is next drawn. */
  readonly erase: () => void;
  /** Takes it off the screen for good. */
  readonly clear: () => void;
}

const NOTHING: Progress = { began: () => {}, ended: () => {}, erase: () => {}, clear: () => {} };

const BAR = 20;
const REFRESH_MS = 200;
/** From then on a test is named as one that is waited for. */
const SLOW_MS = 3000;

/**
 * One line that tells how far it has come: a bar, how many are done and how many of them are not well, and what is
 * waited for. Nothing where nobody watches.
 */
export function showProgress(all: number, screen: Screen | null, now: () => number): Progress {
  if (screen === null) return NOTHING;
  const since = new Map<string, number>();
  let done = 0;
  let unwell = 0;
  const erase = (): void => screen.write('\r\x1b[2K');
  const draw = (): void =>
    screen.write(`\r\x1b[2K${lineOf(all, done, unwell, slowOnes(since, now()), screen.columns)}`);
  const timer = setInterval(draw, REFRESH_MS);
  timer.unref();
  return {
    began: (label) => since.set(label, now()),
    ended: (label, { state }) => {
      since.delete(label);
      done++;
      if (state !== 'ok') unwell++;
    },
    erase,
    clear: () => {
      clearInterval(timer);
      erase();
    },
  };
}

/** Those that have taken long already, the longest first. */
const slowOnes = (since: ReadonlyMap<string, number>, now: number): readonly string[] =>
  Array.from(since, ([label, began]) => ({ label, ms: now - began }))
    .filter(({ ms }) => ms >= SLOW_MS)
    .sort((one, other) => other.ms - one.ms)
    .map(({ label, ms }) => `${label} (${Math.floor(ms / 1000)} s)`);

/** It never fills the last column, where some terminals would begin a new line. */
export function lineOf(all: number, done: number, unwell: number, slow: readonly string[], columns: number): string {
  const filled = Math.floor((done / all) * BAR);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}]`;
  const counts = `${done} of ${all} tested${unwell === 0 ? '' : `, ${unwell} not well`}`;
  const waiting = slow.length === 0 ? '' : `; waiting for ${slow.join(', ')}`;
  const line = `${bar} ${counts}${waiting}`;
  return line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;
}
