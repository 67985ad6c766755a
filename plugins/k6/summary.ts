import type { ProbeResult } from '../../src/probe/result.ts';
import { written } from '../../src/reporters/json.ts';
import { REASONS } from '../../src/verdict/severity.ts';
import { PHASES } from './metrics.ts';

/** A test whose every session went well; else k6 ends with 99. */
export const thresholds: Readonly<Record<string, string[]>> = { pop3_session_success: ['rate==1'] };

/** Has k6 count the failures of each reason by itself, so that a summary can name them. None of them is ever crossed. */
export const thresholdsByReason: Readonly<Record<string, string[]>> = REASONS.reduce<Record<string, string[]>>(
  (all, reason) => {
    all[`pop3_errors{reason:${reason}}`] = ['count>=0'];
    return all;
  },
  {},
);

/** What k6 hands to handleSummary, as far as it is used. */
interface EndOfTest {
  readonly metrics: Readonly<Record<string, MetricAtEnd | undefined>>;
  readonly setup_data?: unknown;
}

interface MetricAtEnd {
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

/**
 * For handleSummary: what came of all sessions, as JSON.
 *
 * @param data what k6 hands to handleSummary
 * @param to a file for it; then a line for people is on standard output. Without one, it is there itself
 */
export function summary(data: unknown, to: { readonly file?: string } = {}): Record<string, string> {
  const digest = digestOf(data as EndOfTest);
  const document = `${written(digest, 2)}\n`;
  return to.file === undefined ? { stdout: document } : { [to.file]: document, stdout: `${lineOf(digest)}\n` };
}

type Spread = Readonly<Record<string, number>>;

interface Digest {
  readonly schema: 1;
  readonly scenario: 'Test POP3 Connectivity';
  /** Skipped: there was no session at all. */
  readonly result: ProbeResult['result'];
  readonly sessions: number;
  readonly failed: number;
  readonly latencyMs: Spread | null;
  readonly phases: readonly { readonly name: string; readonly ms: Spread }[];
  readonly commands: readonly { readonly name: string; readonly ms: Spread }[];
  readonly errors: { readonly count: number; readonly reasons: readonly Counted[] };
  readonly certificateDaysLeft: number | null;
  readonly mailbox: { readonly messages: number; readonly octets: number } | null;
  readonly thresholds: readonly { readonly metric: string; readonly threshold: string; readonly ok: boolean }[];
  /** Those setup() gave back. */
  readonly results: readonly ProbeResult[];
}

interface Counted {
  readonly reason: string;
  readonly count: number;
}

function digestOf({ metrics, setup_data: fromSetup }: Partial<EndOfTest>): Digest {
  if (metrics === undefined) {
    throw new Error('summary() takes what k6 hands to handleSummary without --new-machine-readable-summary');
  }
  const { passes = 0, fails = 0 } = metrics.pop3_session_success?.values ?? {};
  return {
    schema: 1,
    scenario: 'Test POP3 Connectivity',
    result: fails > 0 ? 'Failure' : passes > 0 ? 'Success' : 'Skipped',
    sessions: passes + fails,
    failed: fails,
    latencyMs: metrics.pop3_session_duration?.values ?? null,
    phases: PHASES.flatMap((name) => {
      const ms = metrics[`pop3_${name}_duration`]?.values;
      return ms === undefined ? [] : [{ name, ms }];
    }),
    commands: tagged(metrics, /^pop3_command_duration\{command:(\w+)\}$/).map(([name, ms]) => ({ name, ms })),
    errors: {
      count: metrics.pop3_errors?.values.count ?? 0,
      reasons: tagged(metrics, /^pop3_errors\{reason:([a-z0-9-]+)\}$/)
        .map(([reason, { count = 0 }]) => ({ reason, count }))
        .filter(({ count }) => count > 0)
        .sort((one, other) => other.count - one.count),
    },
    certificateDaysLeft: metrics.pop3_certificate_days_left?.values.value ?? null,
    mailbox: mailboxOf(metrics),
    thresholds: Object.entries(metrics)
      .flatMap(([metric, ended]) =>
        Object.entries(ended?.thresholds ?? {}).map(([threshold, { ok }]) => ({ metric, threshold, ok })),
      )
      // Those that only have k6 count say nothing.
      .filter(({ metric, threshold }) => thresholdsByReason[metric]?.includes(threshold) !== true),
    results: (Array.isArray(fromSetup) ? fromSetup : [fromSetup]).filter(isResult),
  };
}

/** The submetrics a script has by its thresholds, by the value of their tag; in its order, for k6 has none. */
const tagged = (metrics: EndOfTest['metrics'], pattern: RegExp): readonly (readonly [string, Spread])[] =>
  Object.entries(metrics)
    .flatMap(([name, metric]) => {
      const value = pattern.exec(name)?.[1];
      return value === undefined ? [] : [[value, metric?.values ?? {}] as const];
    })
    .sort(([one], [other]) => (one < other ? -1 : 1));

function mailboxOf(metrics: EndOfTest['metrics']): Digest['mailbox'] {
  const messages = metrics.pop3_mailbox_messages?.values.value;
  const octets = metrics.pop3_mailbox_octets?.values.value;
  return messages === undefined || octets === undefined ? null : { messages, octets };
}

const isResult = (value: unknown): value is ProbeResult =>
  typeof value === 'object' && value !== null && (value as Partial<ProbeResult>).scenario === 'Test POP3 Connectivity';

function lineOf({ result, sessions, failed, latencyMs, errors }: Digest): string {
  if (result === 'Skipped') return 'POP3: no session was made';
  const took =
    latencyMs === null ? '' : `, session ${shown(latencyMs.med)} (median), ${shown(latencyMs['p(95)'])} (95 %)`;
  const why = errors.reasons.map(({ reason, count }) => `${count} ${reason}`).join(', ');
  return `POP3: ${sessions - failed} of ${sessions} sessions went well${took}${why === '' ? '' : `; ${why}`}`;
}

const shown = (ms: number | undefined): string => (ms === undefined ? '?' : `${ms.toFixed(1)} ms`);
