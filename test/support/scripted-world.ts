import type { World } from '../../src/probe/world.ts';

/**
 * A world without waiting: the clock stands still until nothing else can happen, then the next timer rings. A
 * deadline of fifty seconds passes in no time, and a run that would hang ends the test instead.
 */
export function scriptedWorld(): Pick<World, 'now' | 'timer' | 'hash'> & { readonly pending: () => number } {
  let clock = 1_000_000;
  const timers = new Set<{ readonly at: number; readonly ring: () => void }>();
  return {
    now: () => clock,
    timer(delayMs, ring) {
      const timer = { at: clock + delayMs, ring };
      timers.add(timer);
      const idle = setTimeout(() => {
        if (!timers.delete(timer)) return;
        clock = Math.max(clock, timer.at);
        ring();
      }, 20);
      return () => {
        timers.delete(timer);
        clearTimeout(idle);
      };
    },
    hash: () => Promise.reject(new Error('no hash in this script')),
    pending: () => timers.size,
  };
}
