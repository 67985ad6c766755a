import type { Reason } from '../dialogue/failure.ts';
import { printable } from '../probe/printable.ts';
import { type State, worst } from '../verdict/severity.ts';
import type { Delivery } from './deliver.ts';

/** What is said of a delivery: a line for each platform, and the worst state. It is never the mail server's. */
export interface Told {
  readonly state: State;
  readonly lines: readonly string[];
}

/** @param now in milliseconds since 1970 */
export function tellDeliveries(deliveries: readonly Delivery[], now: number): Told {
  const states = deliveries.map(stateOf);
  return {
    state: worst(states),
    lines: deliveries.map((delivery, at) => line(states[at] as State, delivery, now)),
  };
}

/** Trouble that may pass by itself; what waits will be delivered. Of anything else somebody has to know. */
const PASSING: readonly Reason[] = [
  'dns-not-found',
  'dns-unavailable',
  'connection-refused',
  'unreachable',
  'timed-out',
  'hung-up',
  'server-temporary',
  'proxy-failed',
  'interrupted',
  'already-running',
];

/** Whatever is lost or will never be taken is UNKNOWN: somebody does not learn what we know. */
function stateOf({ failure, refused, expired, lost, damaged, unkept }: Delivery): State {
  if (refused.length > 0 || expired > 0 || lost > 0 || damaged.length > 0) return 'unknown';
  if (failure !== null) return PASSING.includes(failure.reason) ? 'warning' : 'unknown';
  return unkept === null ? 'ok' : 'warning';
}

function line(state: State, delivery: Delivery, now: number): string {
  const { name, delivered, refused, waiting, oldest, expired, lost, damaged, failure, unkept } = delivery;
  const [first, ...others] = refused;
  const clauses = [
    failure === null ? '' : `${failure.message === '' ? failure.reason : `${failure.reason}, ${failure.message}`}`,
    delivered > 0 || (failure === null && refused.length === 0) ? `${counted(delivered)} delivered` : '',
    waiting === 0 ? '' : `${counted(waiting)} waiting for the next run, the oldest for ${age(now - (oldest ?? now))}`,
    first === undefined
      ? ''
      : `${counted(refused.length)} refused: ${first.result.host}!${first.result.service}, ${first.why}${others.length > 0 ? ` (and ${others.length} more)` : ''}`,
    expired === 0 ? '' : `${counted(expired)} too old to be delivered and dropped (--deliver-max-age)`,
    lost === 0 ? '' : `${counted(lost)} lost`,
    damaged.length === 0 ? '' : `what waited in ${damaged.join(', ')} cannot be read`,
    unkept === null ? '' : unkept.message,
  ];
  return written(state, printable(`${name}: ${clauses.filter((clause) => clause !== '').join('; ')}`, LONGEST_LINE));
}

const written = (state: State, text: string): string =>
  `DELIVERY ${state.toUpperCase()} - ${text.replace(/\|/g, '/')}\n`;

const LONGEST_LINE = 500;

const counted = (count: number): string => `${count} ${count === 1 ? 'result' : 'results'}`;

function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
