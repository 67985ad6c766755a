import type { Phase } from '../dialogue/dialogue.ts';
import type { ProbeResult, RoundTrip } from '../probe/result.ts';
import { parseRange, type Range } from './range.ts';

/** What can be measured, named as performance data and `-w`/`-c` name it. */
export type MetricName =
  | 'time'
  | `time_${Phase}`
  | 'delivery'
  | 'polls'
  | 'messages'
  | 'octets'
  | 'certificate'
  | 'stale';

export interface Metric {
  readonly name: MetricName;
  readonly value: number;
  /** The unit of performance data: seconds or none. */
  readonly unit: 's' | '';
  readonly warning: Range | null;
  readonly critical: Range | null;
  /** The least it can be, or null where there is no bound. */
  readonly least: number | null;
}

/** Which ranges the user set, by metric. */
export type Thresholds = ReadonlyMap<MetricName, Range>;

export type Measured = Omit<Metric, 'warning' | 'critical'>;

const TIMED_PHASES: Readonly<Record<Phase, true>> = {
  directory: true,
  token: true,
  proxy: true,
  dns: true,
  connect: true,
  tls: true,
  greeting: true,
  capabilities: true,
  stls: true,
  login: true,
  mailbox: true,
  send: true,
  delivery: true,
  retrieve: true,
  delete: true,
  quit: true,
  verify: true,
};

/** Every name a threshold may be set on. */
export const METRIC_NAMES: readonly MetricName[] = [
  'time',
  ...Object.keys(TIMED_PHASES).map((phase) => `time_${phase as Phase}` as const),
  'delivery',
  'polls',
  'messages',
  'octets',
  'certificate',
  'stale',
];

/** What a result measured; what it did not reach is not there. */
export function measure(result: ProbeResult): readonly Measured[] {
  const { latencyMs, phases, mailbox, tls, roundTrip } = result;
  return [
    { name: 'time', value: latencyMs / 1000, unit: 's', least: 0 },
    ...phases.map(({ name, ms }): Measured => ({ name: `time_${name}`, value: ms / 1000, unit: 's', least: 0 })),
    ...(roundTrip === null ? [] : measureTrip(roundTrip)),
    ...(mailbox === null
      ? []
      : ([
          { name: 'messages', value: mailbox.messages, unit: '', least: 0 },
          { name: 'octets', value: mailbox.octets, unit: '', least: 0 },
        ] as const)),
    ...(tls === null
      ? []
      : ([{ name: 'certificate', value: wholeDays(tls.daysLeft, tls.lifetimeDays), unit: '', least: null }] as const)),
  ];
}

/** What the message of the full test measured. Looking for it in vain is no measure of anything but patience. */
function measureTrip({ deliveryMs, polls, stale, sendMs }: RoundTrip): readonly Measured[] {
  const delivery: readonly Measured[] =
    deliveryMs === null ? [] : [{ name: 'delivery', value: deliveryMs / 1000, unit: 's', least: 0 }];
  if (sendMs === null) return delivery;
  return [
    ...delivery,
    { name: 'polls', value: polls, unit: '', least: 0 },
    { name: 'stale', value: stale, unit: '', least: 0 },
  ];
}

/** Certificates of a few days are counted in hundredths; others in whole days, rounded down as a calendar does. */
const SHORT_LIVED_DAYS = 10;
const wholeDays = (days: number, lifetimeDays: number): number =>
  lifetimeDays < SHORT_LIVED_DAYS ? days : Math.floor(days);

/**
 * When a certificate's days worry those who set no threshold: below 21 days or a third of its lifetime, and below
 * 7 days or a sixth, whichever is less. A certificate of six days is renewed in time after four of them.
 */
export function certificateDefaults(lifetimeDays: number): { readonly warning: Range; readonly critical: Range } {
  const part = (days: number, share: number): Range =>
    parseRange(`${Math.min(days, wholeDays(Math.round((lifetimeDays / share) * 100) / 100, lifetimeDays))}:`) as Range;
  return { warning: part(21, 3), critical: part(7, 6) };
}

/** A value with its unit, for people. */
export function describeValue({ name, value }: Pick<Metric, 'name' | 'value'>): string {
  if (name === 'messages') return `${value} ${value === 1 ? 'message' : 'messages'}`;
  if (name === 'octets') return `${value} octets`;
  if (name === 'polls') return `${value} ${value === 1 ? 'poll' : 'polls'}`;
  if (name === 'stale') return `${value} stale ${value === 1 ? 'message' : 'messages'}`;
  if (name === 'certificate') {
    return value < 0
      ? `certificate expired ${-value} ${value === -1 ? 'day' : 'days'} ago`
      : `certificate expires in ${value} ${value === 1 ? 'day' : 'days'}`;
  }
  return `${name.replace(/^time_/, '')} ${duration(value)}`;
}

/** Milliseconds below a second, else seconds to the hundredth. */
const duration = (seconds: number): string =>
  seconds < 0.9995 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`;
