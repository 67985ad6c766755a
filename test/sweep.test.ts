import { describe, expect, it } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Stop } from '../src/probe/world.ts';
import { sweep, type Task, type Watcher } from '../src/sweep/sweep.ts';

const WHY = new ProbeFailure('interrupted', 'ended by SIGINT');

/** Time passes only where nothing else happens, and always by as much as the next timer waits for. */
function timeless() {
  let clock = 5_000;
  let pumping = false;
  const timers: { at: number; ring: () => void }[] = [];
  const pump = async (): Promise<void> => {
    if (pumping) return;
    pumping = true;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      timers.sort((one, other) => one.at - other.at);
      const next = timers.shift();
      if (next === undefined) break;
      clock = Math.max(clock, next.at);
      next.ring();
    }
    pumping = false;
  };
  return {
    now: () => clock,
    timer(delayMs: number, ring: () => void) {
      const timer = { at: clock + delayMs, ring };
      timers.push(timer);
      void pump();
      return () => {
        if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1);
      };
    },
    random: (length: number) => new Uint8Array(length).fill(128),
    left: () => timers.length,
  };
}

interface Plan {
  readonly server?: string;
  readonly user?: string;
  readonly tookMs: number;
  readonly limitMs?: number;
}

/** Tasks that take as long as they say, or until their deadline, and say how it was. */
function stage(plans: readonly Plan[], concurrency: number, allMs = 1_000_000, endAfterMs: number | null = null) {
  const world = timeless();
  const busy = new Map<string, number>();
  const most = new Map<string, number>();
  const enter = (key: string, more: number): void => {
    busy.set(key, (busy.get(key) ?? 0) + more);
    most.set(key, Math.max(most.get(key) ?? 0, busy.get(key) as number));
  };
  const began: string[] = [];
  const ended: string[] = [];
  const tasks = plans.map((plan, at): Task<string> => {
    const { server = `server-${at}`, user = `user-${at}`, tookMs, limitMs = 1000 } = plan;
    const keys = ['all', server, user, `${user} on ${server}`];
    return {
      label: `task-${at}`,
      server,
      user,
      limitMs,
      run: (stop, deadline) =>
        new Promise((resolve) => {
          for (const key of keys) enter(key, 1);
          const finish = (outcome: string): void => {
            cancelStop();
            cancelTimer();
            for (const key of keys) enter(key, -1);
            resolve(outcome);
          };
          const isLate = world.now() + tookMs > deadline;
          const cancelTimer = world.timer(Math.min(tookMs, deadline - world.now()), () =>
            finish(isLate ? 'late' : 'done'),
          );
          const cancelStop = stop(({ message }) => finish(message));
        }),
      skip: ({ message }) => `skipped: ${message}`,
    };
  });
  let signal: (failure: ProbeFailure) => void = () => {};
  const stop: Stop = (callback) => {
    signal = callback;
    return () => {
      signal = () => {};
    };
  };
  const watcher: Watcher<string> = { began: (label) => began.push(label), ended: (label) => ended.push(label) };
  if (endAfterMs !== null) world.timer(endAfterMs, () => signal(WHY));
  const started = world.now();
  const outcomes = sweep(tasks, { concurrency, deadline: started + allMs }, world, stop, watcher);
  return { outcomes, most, began, ended, world, tookMs: () => world.now() - started };
}

const times = (count: number, plan: Plan): readonly Plan[] => Array.from({ length: count }, () => plan);

describe('a sweep', () => {
  it('does as many at once as it may, and tells each as it ends, but all in their order', async () => {
    const { outcomes, most, ended, world } = stage([{ tookMs: 900 }, ...times(9, { tookMs: 100 })], 3);
    expect(await outcomes).toEqual(times(10, { tookMs: 0 }).map(() => 'done'));
    expect(most.get('all')).toBe(3);
    expect(ended).toHaveLength(10);
    expect(ended.indexOf('task-0')).toBeGreaterThan(5);
    expect(world.left(), 'timers that were left behind').toBe(0);
  });

  it('is not held up by one that is slow', async () => {
    const { outcomes, tookMs } = stage([{ tookMs: 1000 }, ...times(40, { tookMs: 20 })], 4);
    await outcomes;
    expect(tookMs()).toBeLessThanOrEqual(1000 + 100);
  });

  it('is on one mailbox once at a time, and beside that on a server and as a user 16 times', async () => {
    const sameMailbox = stage(times(5, { server: 'a', user: 'u', tookMs: 10 }), 20);
    await sameMailbox.outcomes;
    expect(sameMailbox.most.get('u on a')).toBe(1);
    const sameServer = stage(times(40, { server: 'a', tookMs: 10 }), 30);
    await sameServer.outcomes;
    expect(sameServer.most.get('a')).toBe(16);
    const sameUser = stage(times(40, { user: 'u', tookMs: 10 }), 30);
    await sameUser.outcomes;
    expect(sameUser.most.get('u')).toBe(16);
  });

  it('lets others pass one that has to wait for its mailbox', async () => {
    const plans = [...times(3, { server: 'a', user: 'u', tookMs: 500 }), { tookMs: 10 }, { tookMs: 10 }];
    const { outcomes, ended } = stage(plans, 2);
    await outcomes;
    expect(ended.slice(0, 2)).toEqual(['task-3', 'task-4']);
  });

  it('gives each its own time from when it begins', async () => {
    const { outcomes } = stage(times(6, { tookMs: 900, limitMs: 1000 }), 1);
    expect(await outcomes).toEqual(Array(6).fill('done'));
    expect(await stage([{ tookMs: 5000, limitMs: 1000 }, { tookMs: 10 }], 1).outcomes).toEqual(['late', 'done']);
  });

  it('tells what took too long by itself from what the time for all cut short', async () => {
    const plans = [...times(2, { tookMs: 5000, limitMs: 1000 }), { tookMs: 5000, limitMs: 1000 }, { tookMs: 1 }];
    const { outcomes, tookMs } = stage(plans, 1, 2500);
    const over = 'the time for all servers, 3 s, was over';
    expect(await outcomes).toEqual(['late', 'late', over, `skipped: ${over}`]);
    expect(tookMs()).toBeLessThanOrEqual(2600);
    // With as long for all as for one, the first ones take too long by themselves.
    expect(await stage(times(3, { tookMs: 5000, limitMs: 1000 }), 3, 1000).outcomes).toEqual(['late', 'late', 'late']);
  });

  it('ends at once when it is told to, and skips the rest', async () => {
    const { outcomes, tookMs, began, world } = stage([{ tookMs: 10 }, ...times(5, { tookMs: 900 })], 2, 10_000, 300);
    expect(await outcomes).toEqual([
      'done',
      'ended by SIGINT',
      'ended by SIGINT',
      ...Array(3).fill('skipped: ended by SIGINT'),
    ]);
    expect(tookMs()).toBe(300);
    expect(began).toEqual(['task-0', 'task-1', 'task-2']);
    expect(world.left(), 'timers that were left behind').toBe(0);
  });

  it('skips what had not begun when it is told to in the first moment', async () => {
    const { outcomes, began } = stage(times(3, { tookMs: 10 }), 3, 10_000, 0);
    expect(await outcomes).toEqual(Array(3).fill('skipped: ended by SIGINT'));
    expect(began).toEqual([]);
  });
});
