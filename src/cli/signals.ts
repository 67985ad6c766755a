import { ProbeFailure } from '../dialogue/failure.ts';
import type { Stop } from '../probe/world.ts';

/**
 * SIGTERM and SIGINT end the run as `interrupted`, told on one line like any other verdict: Icinga sends the one at
 * its timeout, a person the other.
 *
 * @param nobodyRuns what is done with a signal before the run has begun
 */
export function stopOnSignals(nobodyRuns: (failure: ProbeFailure) => void): Signals {
  let end = nobodyRuns;
  let signal: ProbeFailure | null = null;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      signal = new ProbeFailure('interrupted', `ended by ${name}`);
      end(signal);
    });
  }
  return {
    stop(callback) {
      end = callback;
      return () => {
        end = nobodyRuns;
      };
    },
    ended: () => signal,
  };
}

export interface Signals {
  readonly stop: Stop;
  /** The last signal that came, if one did. */
  readonly ended: () => ProbeFailure | null;
}
