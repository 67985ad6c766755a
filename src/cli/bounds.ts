import type { Request } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import { seconds, wholeNumber } from '../request/values.ts';
import type { Bounds } from '../sweep/sweep.ts';
import type { Command } from './main.ts';

const USUAL_CONCURRENCY = 20;
const MOST_CONCURRENCY = 500;

/**
 * How long many servers may take, and how many of them at a time. A plugin has as long for all of them as for one, for
 * its platform waits no longer; to people each may take its time, one after the other.
 *
 * @param settings those for all
 * @param time from when it counts, on the clock of `world.now`, and how long one server may take, in milliseconds
 * @throws ProbeFailure `usage`
 */
export function boundsOf(
  requests: readonly Request[],
  settings: Settings,
  { people }: Command,
  time: { readonly from: number; readonly timeoutMs: number },
): Bounds {
  const { from, timeoutMs } = time;
  const { concurrency: given } = settings;
  const concurrency =
    given === undefined ? USUAL_CONCURRENCY : wholeNumber('--concurrency', given, 1, MOST_CONCURRENCY);
  const together = requests.reduce((sum, { plan }) => sum + plan.timeoutMs, 0) / 1000;
  const usual = people === undefined ? timeoutMs / 1000 : Math.min(together * 1.1 + 5, LONGEST_SWEEP_S);
  const allS = seconds(settings, 'sweep-timeout', usual, LONGEST_SWEEP_S);
  // A lookup that is not answered holds a thread of Node's; four of them would hold up everybody else.
  if (requests.length > 1) process.env.UV_THREADPOOL_SIZE ??= String(concurrency + SPARE_THREADS);
  return { concurrency, deadline: from + allS * 1000 };
}

const LONGEST_SWEEP_S = 7200;
const SPARE_THREADS = 4;
