import { utf8 } from '../dialogue/bytes.ts';
import type { RoundTrip, Spoken } from '../probe/result.ts';
import { isTest, type TestVerdict, testsIn, type Verdict } from '../verdict/judge.ts';
import type { Metric } from '../verdict/metric.ts';
import { STATES, type State, worstFirst } from '../verdict/severity.ts';
import type { Manner, Reporter } from './reporter.ts';

/**
 * The output of a Nagios plugin (Monitoring Plugins Development Guidelines), in the form every heir of Nagios reads
 * alike: one `|`, on the first line; performance data only there; plain labels, fixed-point numbers, no `U`.
 */
export const nagios: Reporter = (verdict, manner) => {
  const { lines, perfdata, exitCode } = pluginOutput(verdict, manner);
  const [first, ...more] = lines;
  const charted = perfdata.length === 0 ? first : `${first} | ${perfdata.join(' ')}`;
  return { stdout: `${[charted, ...more].join('\n')}\n`, exitCode };
};

/** What a plugin says, before it is put into one text: some platforms want performance data apart. */
export interface PluginOutput {
  readonly lines: readonly string[];
  readonly perfdata: readonly string[];
  readonly exitCode: number;
}

export function pluginOutput(verdict: Verdict, manner: Manner): PluginOutput {
  const { lines, perfdata } = verdict.parts.some(isTest) ? group(verdict, manner) : single(verdict, manner);
  const said = testsIn(verdict).filter(({ conversation }) => conversation.length > 0);
  const exitCode = PLUGIN_EXIT[verdict.state];
  if (manner.verbosity < 3 || said.length === 0) return { lines, perfdata, exitCode };
  const named = (test: TestVerdict): readonly Spoken[] =>
    isTest(verdict) ? [] : [{ atMs: 0, who: '*', words: test.text }];
  const all = said.flatMap((test) => [...named(test), ...test.conversation]);
  return { lines: [...lines, 'conversation:', ...all.map(spoken).map(clean)], perfdata, exitCode };
}

type Written = Omit<PluginOutput, 'exitCode'>;

/** The lines on one test, or on none. */
function single(verdict: Verdict, manner: Manner): Written {
  const first = firstLine(verdict.state, headline(verdict));
  if (!isTest(verdict)) return { lines: [first], perfdata: [] };
  const more = manner.verbosity > 0 ? details(verdict, manner).map(clean) : [];
  const perfdata = verdict.metrics.map((metric) => written(metric));
  const room = isTight(manner) ? MOST_OCTETS - octetsOf(first) : MOST_PERFDATA;
  return { lines: [first, ...more], perfdata: within(perfdata.map(alone), room).flat() };
}

/** A line that sums several tests up, one for each of them, the worst first, and what `-v` adds to each. */
function group(verdict: Verdict, manner: Manner): Written {
  const members = worstFirst(verdict.parts.filter((part) => isTest(part) || part.state !== 'ok'));
  const remarks = verdict.parts.filter((part) => !members.includes(part)).map(({ text }) => ` (${text})`);
  // Charts go by the place of a value: it must not change with the state.
  const tests = verdict.parts.filter(isTest).sort((a, b) => (a.text < b.text ? -1 : 1));
  const charted = within(tests.map(labelled), isTight(manner) ? LEAST_PERFDATA : MOST_PERFDATA);
  const left = tests.length - charted.length;
  if (left > 0) remarks.push(` (no performance data of ${left} of them: too many for one line)`);
  const first = firstLine(verdict.state, overview(verdict.text, members) + remarks.join(''));
  const perfdata = charted.flat();
  const told = members.map((member) =>
    clean(`[${member.state.toUpperCase()}] ${isTest(member) ? headline(member) : member.text}`),
  );
  if (manner.verbosity === 0) {
    const used = octetsOf(`${first} | ${perfdata.join(' ')}`);
    const room = isTight(manner) ? MOST_OCTETS - used : Number.POSITIVE_INFINITY;
    return { lines: [first, ...fitting(told, room)], perfdata };
  }
  const more = members.filter(isTest).flatMap((test) => [`${test.text}:`, ...details(test, manner)]);
  return { lines: [first, ...told, ...more.map(clean)], perfdata };
}

const firstLine = (state: State, text: string): string => `POP3 ${state.toUpperCase()} - ${clean(text)}`;

/** As much as a report may hold, with room for what else there is to say. */
const MOST_PERFDATA = 40_000;
/** Within what NRPE of the old kind carries. */
const LEAST_PERFDATA = 450;

/** Who asks for more lines has a reader that takes them. */
const isTight = ({ isNarrow, verbosity }: Manner): boolean => isNarrow && verbosity === 0;

const alone = (value: string): readonly string[] => [value];

const octetsOf = (text: string): number => utf8(text).length;

/** The first of some groups of values, as many as fit. */
function within(groups: readonly (readonly string[])[], most: number): readonly (readonly string[])[] {
  let used = 0;
  return groups.filter((group) => {
    used += octetsOf(group.join(' ')) + 1;
    return used <= most;
  });
}

/** What NRPE of the old kind carries, with some room. */
const MOST_OCTETS = 1000;
const MOST_LINES = 20;

/** As many lines as there is room for, at least the worst, and how many were left out. */
function fitting(lines: readonly string[], room: number): readonly string[] {
  let used = 0;
  const fit = lines.filter((line, at) => {
    used += octetsOf(line) + 1;
    return at === 0 || (at < MOST_LINES && used < room - 40);
  });
  return fit.length === lines.length ? fit : [...fit, `… and ${lines.length - fit.length} more; -v shows them`];
}

/** How a plugin exits; other platforms count states the same way. */
export const PLUGIN_EXIT: Readonly<Record<State, number>> = { ok: 0, warning: 1, critical: 2, unknown: 3 };

/** Nothing from outside may start performance data or another line. */
const clean = (line: string): string => line.replace(/[\r\n]/g, ' ').replace(/\|/g, '/');

/** A platform's list shows about this much. */
const LONGEST_HEADLINE = 240;

function headline(verdict: Verdict): string {
  const named = verdict.text === '' ? '' : `${verdict.text}: `;
  const troubles = worstFirst(verdict.parts).filter(({ state }) => state !== 'ok');
  const remarks = verdict.parts.filter(({ state }) => state === 'ok').map(({ text }) => `(${text})`);
  const [gravest, ...others] = troubles.map(({ text }) => text);
  let line = named + (gravest ?? (isTest(verdict) ? verdict.summary : ''));
  let left = others.length;
  for (const other of others) {
    if (line.length + other.length + 2 > LONGEST_HEADLINE) break;
    line += `; ${other}`;
    left--;
  }
  return [line, ...(left === 0 ? [] : [`(+${left} more)`]), ...remarks].join(' ');
}

/** How many of several tests are in which state; the lines below say why. */
function overview(server: string, members: readonly Verdict[]): string {
  const counts = STATES.slice()
    .reverse()
    .map((state) => [members.filter((member) => member.state === state).length, state] as const)
    .filter(([count]) => count > 0);
  const of = server === '' ? ['server', 'servers'] : ['address', 'addresses'];
  const all = `${server === '' ? '' : `${server}: `}${members.length} ${of[members.length === 1 ? 0 : 1]}`;
  return `${all}, ${counts.map(([count, state]) => `${count} ${state}`).join(', ')}`;
}

/** What is charted of each of several tests, under the test's own name: the one label that needs quotes. */
const labelled = ({ text, metrics }: TestVerdict): readonly string[] =>
  metrics
    .filter(({ name }) => name === 'time' || name === 'certificate')
    // `::` is for the end of the name alone; an IPv6 address is full of it.
    .map((metric) => written(metric, `'${labelOf(text)}::${metric.name}'`));

/**
 * Nothing in it may end the label, or the performance data; a blank would do where Nagios takes the quotes away, as it
 * does in the macros of a command (illegal_macro_output_chars).
 */
const labelOf = (text: string): string =>
  clean(text)
    .replace(/:/g, '-')
    .replace(/['=/\s]/g, '_');

function written({ name, value, unit, warning, critical, least }: Metric, label: string = name): string {
  const thresholds = [warning?.text ?? '', critical?.text ?? '', least === null ? '' : String(least)];
  return `${label}=${fixed(value, unit)}${unit};${thresholds.join(';')}`.replace(/;+$/, '');
}

/** Never an exponent: some platforms read `1e-7` as 1 and 7. */
const fixed = (value: number, unit: Metric['unit']): string => {
  if (unit === 's') return value.toFixed(3);
  return Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
};

/** What `-v` adds: where the time went and what was met; `-vv` all that is known; `-vvv` the conversation. */
function details({ result, parts }: TestVerdict, { verbosity }: Manner): string[] {
  const { address, port, connectionType, deadAddresses, phases, tls, mailbox, capabilities } = result;
  const lines = parts.map(({ state, text }) => `[${state.toUpperCase()}] ${text}`);
  lines.push(`connection: ${address ?? 'none'} port ${port}, ${connectionType}`);
  for (const { address: dead, problem } of deadAddresses) lines.push(`not reached: ${dead}, ${problem}`);
  lines.push(`phases: ${phases.map(({ name, ms }) => `${name} ${ms.toFixed(1)} ms`).join(', ')}`);
  if (tls !== null) {
    lines.push(
      `tls: ${tls.protocol} ${tls.cipher}, certificate ${tls.authorized ? 'good' : 'not good'} for the server`,
    );
    lines.push(`certificate: for ${tls.names.join(', ')}; until ${tls.validTo} (${tls.daysLeft} days)`);
  }
  if (result.roundTrip !== null) lines.push(...describeTrip(result.roundTrip));
  if (verbosity < 2) return lines;
  if (tls !== null)
    lines.push(
      `certificate: subject ${tls.subject}; issuer ${tls.issuer}; from ${tls.validFrom}`,
      `certificate: SHA-256 ${tls.fingerprint}`,
    );
  lines.push(`user: ${result.userName}`, `started: ${result.startTime}`);
  if (mailbox !== null) lines.push(`mailbox: ${mailbox.messages} messages, ${mailbox.octets} octets`);
  if (capabilities !== null) lines.push(`capabilities: ${capabilities.join(', ')}`);
  return lines;
}

/** The way of the message, as far as it came. */
function describeTrip(trip: RoundTrip): readonly string[] {
  const { sentVia, sendMs, deliveryMs, isEstimate, polls, hops } = trip;
  const took = (ms: number | null): string => (ms === null ? 'no' : `${(ms / 1000).toFixed(2)} s`);
  const delivered = isEstimate ? `${took(deliveryMs)} (by the clocks of the mail servers)` : took(deliveryMs);
  const answer = (is: boolean): string => (is ? 'yes' : 'no');
  const stale = `stale ${trip.stale}, removed ${trip.staleRemoved}; pending ${trip.pending}, lost ${trip.lost}`;
  const done = `retrieved ${answer(trip.retrieved)}, deleted ${answer(trip.deleted)}, verified ${answer(trip.verified)}`;
  return [
    `round trip: sent via ${sentVia} ${took(sendMs)}, delivered ${delivered}, polls ${polls}, ${done}; ${stale}`,
    ...(hops.length === 0
      ? []
      : [`hops, by the servers' own clocks: ${hops.map(({ by, seconds }) => `${by} ${seconds} s`).join(', ')}`]),
  ];
}

const spoken = ({ atMs, who, words }: Spoken): string => `${atMs.toFixed(1).padStart(9)} ms ${who} ${words}`;
