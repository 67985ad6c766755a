import { ProbeFailure } from '../dialogue/failure.ts';
import type { Stop } from '../probe/world.ts';

/**
 * SIGTERM and SIGINT end the run as `interrupted`, told on one line like any other verdict: Icinga sends the one at
 * its timeout, a person the other.
 *
 * @param nobodyRuns what is done with a signal before the run has begun
 */
export function stopOnSignals(nobodyRuns: (failure: ProbeFailure) => void): Stop {
  let end = nobodyRuns;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => end(new ProbeFailure('interrupted', `ended by ${signal}`)));
  }
  return (callback) => {
    end = callback;
    return () => {
      end = nobodyRuns;
    };
  };
}
