import { SHORTEST_KEY } from './marker.ts';
import { uidsOf } from './stock.ts';
import type { Left, LeftRun, Memory, World } from './world.ts';

/** How much is remembered of earlier runs, and for how long. */
const MOST_RUNS = 50;
const MOST_UIDS = 400;
const FORGOTTEN_AFTER_S = 14 * 24 * 3600;

/** What this run tells the next one. Each change is written down at once: a run may be killed at any moment. */
export class Ledger {
  readonly key: Uint8Array;
  private readonly memory: Memory;
  private left: Left;

  /** @param now seconds since 1970: what is long past is forgotten */
  constructor(memory: Memory, now: number) {
    this.memory = memory;
    this.key = memory.key;
    const { runs, seen, deleted } = memory.left;
    this.left = { runs: runs.filter(({ expiresAt }) => expiresAt > now - FORGOTTEN_AFTER_S), seen, deleted };
  }

  get runs(): readonly LeftRun[] {
    return this.left.runs;
  }

  /** Where messages of these runs were left. */
  get uids(): readonly string[] {
    return ([] as string[]).concat(...this.runs.map(({ uids }) => uids));
  }

  get seen(): readonly string[] {
    return this.left.seen;
  }

  get deleted(): readonly string[] {
    return this.left.deleted;
  }

  add(run: LeftRun): void {
    this.keep({ runs: [...this.runs, run] });
  }

  /** Nothing is left of these runs. */
  forget(...names: readonly string[]): void {
    this.keep({ runs: this.runs.filter(({ run }) => !names.includes(run)) });
  }

  giveUp(name: string): void {
    this.turn(name, 'given-up');
  }

  /** A run is in another state from now on. */
  turn(name: string, state: LeftRun['state']): void {
    this.keep({ runs: this.runs.map((each) => (each.run === name ? { ...each, state } : each)) });
  }

  /** A message of a run was seen, and left where it is. */
  leave(name: string, entry: { readonly uid: string | null }): void {
    const uids = uidsOf([entry]);
    this.keep({
      runs: this.runs.map((each) =>
        each.run === name ? { ...each, uids: Array.from(new Set([...each.uids, ...uids])) } : each,
      ),
    });
  }

  see(uids: readonly string[]): void {
    if (uids.length > 0) this.keep({ seen: Array.from(new Set([...this.seen, ...uids])) });
  }

  /** Only what is still among the latest messages has to be known as seen. */
  seeOnly(there: ReadonlySet<string>): void {
    this.keep({ seen: this.seen.filter((uid) => there.has(uid)) });
  }

  /** @param uids all that is marked as deleted and not yet known to be gone */
  delete(uids: readonly string[]): void {
    this.keep({ deleted: Array.from(new Set(uids)) });
  }

  trouble(): string | null {
    return this.memory.trouble();
  }

  close(): void {
    this.memory.close();
  }

  private keep(changes: Partial<Left>): void {
    const { runs, seen, deleted } = { ...this.left, ...changes };
    this.left = { runs: runs.slice(-MOST_RUNS), seen: seen.slice(-MOST_UIDS), deleted: deleted.slice(-MOST_UIDS) };
    this.memory.keep(this.left);
  }
}

/** In a runtime that remembers nothing a message is only ever recognised by the run that sent it. */
export const nothingRemembered = (world: Pick<World, 'random'>): Memory => ({
  key: world.random(SHORTEST_KEY),
  left: { runs: [], seen: [], deleted: [] },
  trouble: () => null,
  keep: () => undefined,
  close: () => undefined,
});
