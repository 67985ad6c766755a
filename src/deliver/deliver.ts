import { asFailure, ProbeFailure } from '../dialogue/failure.ts';
import type { Stop } from '../probe/world.ts';
import type { DeliveryPlan, DestinationPlan } from '../request/delivery.ts';
import { holding } from '../runtimes/node/reach.ts';
import type { Destination, PassiveResult } from './destination.ts';
import { icinga2 } from './icinga2.ts';
import { nagiosCommandFile } from './nagios.ts';
import { nrdp } from './nrdp.ts';
import { openSpool, type Spool, unkept, type Waiting } from './spool.ts';
import { zabbix } from './zabbix.ts';

/** What has become of the results for one platform. */
export interface Delivery {
  readonly name: string;
  readonly delivered: number;
  /** Those the platform will never take. */
  readonly refused: readonly { readonly result: PassiveResult; readonly why: string }[];
  /** How many wait for the next run, and since when the oldest does, in milliseconds since 1970. */
  readonly waiting: number;
  readonly oldest: number | null;
  /** How many were dropped for being too old. */
  readonly expired: number;
  /** How many are lost, for they could neither be delivered nor kept. */
  readonly lost: number;
  /** Files of the spool that could not be read. */
  readonly damaged: readonly string[];
  /** What kept the platform from taking what waits. */
  readonly failure: ProbeFailure | null;
  /** What kept us from keeping anything. */
  readonly unkept: ProbeFailure | null;
}

type DestinationOf = {
  readonly [K in DestinationPlan['kind']]: (plan: Extract<DestinationPlan, { kind: K }>) => Destination;
};

const DESTINATIONS: DestinationOf = {
  nagios: ({ path }) => nagiosCommandFile(path),
  icinga2,
  nrdp,
  zabbix,
};

/**
 * Delivers results, and those of earlier runs that wait, to every platform at a time, each within the same budget.
 * The results are in the spool before anything is tried, so that whatever ends this process loses none.
 *
 * @param results the newest of each service
 * @param stop ends it early: what is not delivered waits
 */
export function deliver(
  { destinations, maxAgeMs, timeoutMs, stateDir }: DeliveryPlan,
  results: readonly PassiveResult[],
  stop: Stop,
): Promise<readonly Delivery[]> {
  const until = performance.now() + timeoutMs;
  const ends: ((failure: ProbeFailure) => void)[] = [];
  const cancelStop = stop((failure) => {
    for (const end of ends) end(failure);
  });
  const all = destinations.map((plan) =>
    deliverTo(plan, results, { stateDir, maxAgeMs, until, ended: (callback) => ends.push(callback) }),
  );
  return Promise.all(all).finally(cancelStop);
}

interface Terms {
  readonly stateDir: string | null;
  readonly maxAgeMs: number;
  /** When it has to have ended, on the clock of `performance.now()`. */
  readonly until: number;
  /** Whom to tell that it is to end early. */
  readonly ended: (callback: (failure: ProbeFailure) => void) => void;
}

async function deliverTo(plan: DestinationPlan, results: readonly PassiveResult[], terms: Terms): Promise<Delivery> {
  const destination = (DESTINATIONS[plan.kind] as (plan: DestinationPlan) => Destination)(plan);
  let spool: Spool;
  try {
    spool = openSpool(plan.name, terms.stateDir, terms.maxAgeMs);
    spool.add(results);
  } catch (problem) {
    // Then they are delivered now or never.
    const tried = await attempt(destination, results, terms);
    return {
      ...outcomeOf(plan, tried, NOTHING),
      waiting: 0,
      oldest: null,
      lost: tried.left.length,
      unkept: unkept(problem),
    };
  }
  try {
    if (!(await locked(spool, terms))) return busy(plan, results);
    const waiting = spool.read(Date.now());
    const tried = await attempt(destination, waiting.results, terms);
    spool.settle(tried.left, tried.delivered, Date.now());
    return outcomeOf(plan, tried, waiting);
  } catch (problem) {
    // The disk, as a rule: what is in the spool stays there, and may be delivered twice.
    return { ...busy(plan, results), failure: unkept(problem) };
  } finally {
    spool.close();
  }
}

const NOTHING: Waiting = { results: [], expired: 0, damaged: [] };

const ASK_AGAIN_MS = 50;

/** Waits for its turn, as long as there is time. */
async function locked(spool: Spool, { until, ended }: Terms): Promise<boolean> {
  let isOver = false;
  ended(() => {
    isOver = true;
  });
  while (!spool.lock(until - performance.now())) {
    if (isOver || performance.now() + ASK_AGAIN_MS > until) return false;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  return true;
}

const busy = ({ name }: DestinationPlan, results: readonly PassiveResult[]): Delivery => ({
  ...outcomeOf({ name }, { delivered: [], refused: [], left: results, failure: BUSY }, NOTHING),
});

const BUSY = new ProbeFailure('already-running', 'another run is delivering');

interface Tried {
  readonly delivered: readonly PassiveResult[];
  readonly refused: Delivery['refused'];
  readonly left: readonly PassiveResult[];
  readonly failure: ProbeFailure | null;
}

/** Delivers what it can until the time is over. */
async function attempt(destination: Destination, results: readonly PassiveResult[], terms: Terms): Promise<Tried> {
  const delivered: PassiveResult[] = [];
  const refused: { result: PassiveResult; why: string }[] = [];
  const left = new Set(results);
  let isOver = false;
  const settled = (result: PassiveResult, why: string | null): void => {
    if (isOver) return;
    left.delete(result);
    if (why === null) delivered.push(result);
    else refused.push({ result, why });
  };
  const { hold, letGo } = holding();
  let failure: ProbeFailure | null = null;
  if (results.length > 0) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new ProbeFailure('timed-out', 'the time for it was over')),
        terms.until - performance.now(),
      );
      terms.ended(reject);
    });
    try {
      await Promise.race([destination.deliver(results, settled, hold), late]);
    } catch (problem) {
      failure = asFailure(problem);
    }
    clearTimeout(timer);
    isOver = true;
    letGo();
  }
  return { delivered, refused, left: [...left], failure };
}

const outcomeOf = (
  { name }: Pick<DestinationPlan, 'name'>,
  { delivered, refused, left, failure }: Tried,
  { expired, damaged }: Waiting,
): Delivery => ({
  name,
  delivered: delivered.length,
  refused,
  waiting: left.length,
  oldest: left.length === 0 ? null : Math.min(...left.map(({ ended }) => ended)),
  expired,
  lost: 0,
  damaged,
  failure,
  unkept: null,
});
