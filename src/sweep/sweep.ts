import { ProbeFailure } from '../dialogue/failure.ts';
import type { Stop, World } from '../probe/world.ts';

/** One test of many. */
export interface Task<T> {
  /** What it is called while people wait for it. */
  readonly label: string;
  /** The server it asks and the user it is there as: servers limit how many sessions they give either. */
  readonly server: string;
  readonly user: string;
  /** Milliseconds it may take once it has begun. */
  readonly limitMs: number;
  /** Does it; it has to end by the deadline, and at once when it is told to. It never rejects. */
  readonly run: (stop: Stop, deadline: number) => Promise<T>;
  /** What it comes to where it was not begun. */
  readonly skip: (why: ProbeFailure) => T;
}

export interface Bounds {
  /** How many are done at once. */
  readonly concurrency: number;
  /** When all have to have ended, on the clock of `world.now`. */
  readonly deadline: number;
}

/** Who is told how far it has come. */
export interface Watcher<T> {
  readonly began: (label: string) => void;
  readonly ended: (label: string, outcome: T) => void;
}

/** Sessions at once on one server, and of one user, as Exchange allows a user as it comes. */
const MOST_PER_SERVER = 16;
const MOST_PER_USER = 16;

/** Those whose own time ends with that for all say themselves that they took too long. */
const GRACE_MS = 100;

/** The first ones do not begin in the same instant. */
const JITTER_MS = 100;

/**
 * Does many tasks, some at once: those of one server and user one after the other, for a mailbox is often locked
 * while it is open. None waits for another that is slow, and none has less time because others took theirs: what the
 * deadline of all cuts short is told apart from what took too long by itself.
 *
 * @returns what each came to, in the order of the tasks
 */
export function sweep<T>(
  tasks: readonly Task<T>[],
  { concurrency, deadline }: Bounds,
  world: Pick<World, 'now' | 'timer' | 'random'>,
  stop: Stop,
  watcher: Watcher<T>,
): Promise<readonly T[]> {
  return new Promise((resolve) => {
    const outcomes = new Map<number, T>();
    const waiting = new Set(tasks.keys());
    const running = new Map<number, { end: (failure: ProbeFailure) => void }>();
    const busy = new Busy();
    const started = world.now();
    let ended: ProbeFailure | null = null;

    const settle = (at: number, outcome: T): void => {
      outcomes.set(at, outcome);
      watcher.ended(labelOf(at), outcome);
    };
    const labelOf = (at: number): string => (tasks[at] as Task<T>).label;

    const start = (at: number, delayMs: number): void => {
      const task = tasks[at] as Task<T>;
      const own = { end: (_: ProbeFailure): void => {} };
      waiting.delete(at);
      running.set(at, own);
      busy.enter(task);
      const finished = (outcome: T): void => {
        running.delete(at);
        busy.leave(task);
        settle(at, outcome);
      };
      const stopOne: Stop = (callback) => {
        own.end = callback;
        if (ended !== null) callback(ended);
        return () => {
          own.end = () => {};
        };
      };
      const cancel = world.timer(delayMs, () => {
        own.end = () => {};
        watcher.began(task.label);
        const until = world.now() + task.limitMs;
        // One of the first has all the time there is: what takes longer than that took too long by itself.
        const isOfTheFirst = world.now() - started <= 2 * JITTER_MS;
        void task.run(stopOne, isOfTheFirst ? Math.min(until, deadline) : until).then((outcome) => {
          finished(outcome);
          advance();
        });
      });
      // Told to end while it waits, it is skipped like those behind it.
      own.end = (failure) => {
        cancel();
        finished(task.skip(failure));
      };
    };

    const advance = (delayMs: () => number = () => 0): void => {
      for (const at of waiting) {
        if (running.size >= concurrency || ended !== null || world.now() >= deadline) break;
        if (busy.hasRoom(tasks[at] as Task<T>)) start(at, delayMs());
      }
      if (outcomes.size < tasks.length) return;
      cancelDeadline();
      cancelStop();
      resolve(Array.from(tasks.keys(), (at) => outcomes.get(at) as T));
    };

    const finish = (failure: ProbeFailure): void => {
      ended = failure;
      for (const at of waiting) settle(at, (tasks[at] as Task<T>).skip(failure));
      waiting.clear();
      for (const { end } of [...running.values()]) end(failure);
      advance();
    };

    const cancelStop = stop(finish);
    const allMs = deadline - started;
    const cancelDeadline = world.timer(allMs + GRACE_MS, () =>
      finish(new ProbeFailure('interrupted', `the time for all servers, ${Math.round(allMs / 1000)} s, was over`)),
    );
    advance(() => ((world.random(1)[0] as number) / 256) * JITTER_MS);
  });
}

/** How many sessions servers and users have just now. */
class Busy {
  readonly #counts = new Map<string, number>();

  hasRoom({ server, user }: Task<unknown>): boolean {
    const has = (key: string): number => this.#counts.get(key) ?? 0;
    return has(pairOf(server, user)) === 0 && has(`@${server}`) < MOST_PER_SERVER && has(`${user}@`) < MOST_PER_USER;
  }

  enter(task: Task<unknown>): void {
    this.#add(task, 1);
  }

  leave(task: Task<unknown>): void {
    this.#add(task, -1);
  }

  #add({ server, user }: Task<unknown>, more: number): void {
    for (const key of [pairOf(server, user), `@${server}`, `${user}@`])
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + more);
  }
}

const pairOf = (server: string, user: string): string => `${user}\n${server}`;
