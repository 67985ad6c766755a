import { isTest, type TestVerdict, type Verdict } from '../verdict/judge.ts';
import { describeValue, type Metric } from '../verdict/metric.ts';
import { type State, worstFirst } from '../verdict/severity.ts';
import type { Manner, Reporter } from './reporter.ts';

/**
 * The output of a Nagios plugin (Monitoring Plugins Development Guidelines), in the form every heir of Nagios reads
 * alike: one `|`, on the first line; performance data only there; plain labels, fixed-point numbers, no `U`.
 */
export const nagios: Reporter = (verdict, manner) => {
  const lines = [`POP3 ${verdict.state.toUpperCase()} - ${clean(headline(verdict))}${performance(verdict)}`];
  if (isTest(verdict) && manner.verbosity > 0) lines.push(...details(verdict, manner).map(clean));
  return { stdout: `${lines.join('\n')}\n`, exitCode: EXIT[verdict.state] };
};

const EXIT: Readonly<Record<State, number>> = { ok: 0, warning: 1, critical: 2, unknown: 3 };

/** Nothing from outside may start performance data or another line. */
const clean = (line: string): string => line.replace(/[\r\n]/g, ' ').replace(/\|/g, '/');

/** A platform's list shows about this much. */
const LONGEST_HEADLINE = 240;

function headline(verdict: Verdict): string {
  const named = verdict.text === '' ? '' : `${verdict.text}: `;
  const troubles = worstFirst(verdict.parts).filter(({ state }) => state !== 'ok');
  const remarks = verdict.parts.filter(({ state }) => state === 'ok').map(({ text }) => `(${text})`);
  const [gravest, ...others] = troubles.map(({ text }) => text);
  let line = named + (gravest ?? (isTest(verdict) ? summary(verdict) : ''));
  let left = others.length;
  for (const other of others) {
    if (line.length + other.length + 2 > LONGEST_HEADLINE) break;
    line += `; ${other}`;
    left--;
  }
  return [line, ...(left === 0 ? [] : [`(+${left} more)`]), ...remarks].join(' ');
}

/** What a good result is summed up by. */
const SUMMARY: readonly string[] = ['time', 'time_login', 'messages', 'certificate'];

const summary = ({ metrics }: TestVerdict): string =>
  metrics
    .filter(({ name }) => SUMMARY.includes(name))
    .map(describeValue)
    .join(', ');

function performance(verdict: Verdict): string {
  if (!isTest(verdict)) return '';
  return ` | ${verdict.metrics.map(perfdata).join(' ')}`;
}

function perfdata({ name, value, unit, warning, critical, least }: Metric): string {
  const thresholds = [warning?.text ?? '', critical?.text ?? '', least === null ? '' : String(least)];
  return `${name}=${fixed(value, unit)}${unit};${thresholds.join(';')}`.replace(/;+$/, '');
}

/** Never an exponent: some platforms read `1e-7` as 1 and 7. */
const fixed = (value: number, unit: Metric['unit']): string => {
  if (unit === 's') return value.toFixed(3);
  return Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
};

/** What `-v` adds: where the time went and what was met; `-vv` all that is known; `-vvv` the conversation. */
function details({ result, parts }: TestVerdict, { verbosity, conversation }: Manner): string[] {
  const { address, port, connectionType, phases, tls, mailbox, capabilities } = result;
  const lines = parts.map(({ state, text }) => `[${state.toUpperCase()}] ${text}`);
  lines.push(`connection: ${address ?? 'none'} port ${port}, ${connectionType}`);
  lines.push(`phases: ${phases.map(({ name, ms }) => `${name} ${ms.toFixed(1)} ms`).join(', ')}`);
  if (tls !== null) {
    lines.push(
      `tls: ${tls.protocol} ${tls.cipher}, certificate ${tls.authorized ? 'good' : 'not good'} for the server`,
    );
    lines.push(`certificate: for ${tls.names.join(', ')}; until ${tls.validTo} (${tls.daysLeft} days)`);
  }
  if (verbosity < 2) return lines;
  if (tls !== null) lines.push(`certificate: subject ${tls.subject}; issuer ${tls.issuer}; from ${tls.validFrom}`);
  lines.push(`user: ${result.userName}`, `started: ${result.startTime}`);
  if (mailbox !== null) lines.push(`mailbox: ${mailbox.messages} messages, ${mailbox.octets} octets`);
  if (capabilities !== null) lines.push(`capabilities: ${capabilities.join(', ')}`);
  if (verbosity < 3) return lines;
  return [
    ...lines,
    'conversation:',
    ...conversation.map(({ atMs, who, words }) => `${atMs.toFixed(1).padStart(9)} ms ${who} ${words}`),
  ];
}
