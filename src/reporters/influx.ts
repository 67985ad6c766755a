import { isTest, type TestVerdict } from '../verdict/judge.ts';
import type { Metric } from '../verdict/metric.ts';
import { decimal, inOneLine, type Member, measuredIn, membersOf } from './members.ts';
import { PLUGIN_EXIT, pluginOutput } from './nagios.ts';
import { PLAIN_MANNER, type Reporter } from './reporter.ts';

/**
 * InfluxDB's line protocol, a point for each server: `pop3,tags fields time`. Telegraf drops what a command says that
 * exits with anything but 0.
 */
export const influx: Reporter = (verdict) => ({
  stdout: membersOf(verdict)
    .map((member) => `${pointOf(member)}\n`)
    .join(''),
  exitCode: 0,
});

/** A run that never began has no server and no time: whoever reads it gives it his own. */
function pointOf({ name, verdict }: Member): string {
  const test = isTest(verdict) ? verdict : null;
  const tags = [['target', name] as const, ...(test === null ? [] : tagsOf(test))].filter(([, value]) => value !== '');
  const [text = ''] = pluginOutput(verdict, PLAIN_MANNER).lines;
  const fields = [
    `status=${PLUGIN_EXIT[verdict.state]}i`,
    `state=${quoted(verdict.state.toUpperCase())}`,
    `success=${test !== null && test.result.result === 'Success'}`,
    ...(test === null ? [] : fieldsOf(test)),
    `text=${quoted(text)}`,
  ];
  const series = ['pop3', ...tags.sort(byName).map(([tag, value]) => `${tag}=${tagged(value)}`)].join(',');
  return [series, fields.join(','), ...(test === null ? [] : [nanoseconds(test)])].join(' ');
}

/** InfluxDB takes them faster in their order. */
const byName = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1);

/** What does not change with the outcome: each combination is a series of its own. */
function tagsOf({ result: { casServer, connectionType, port } }: TestVerdict): readonly (readonly [string, string])[] {
  return [
    ['server', casServer],
    ['connection_type', connectionType],
    // Of a target whose settings were refused there is none.
    ['port', port === 0 ? '' : String(port)],
  ];
}

function fieldsOf(test: TestVerdict): readonly string[] {
  const { error, tls } = test.result;
  return [
    `reason=${quoted(error?.reason ?? '')}`,
    `phase=${quoted(error?.phase ?? '')}`,
    ...(tls === null ? [] : [`tls=${quoted(tls.protocol)}`]),
    ...measuredIn(test).map((metric) => `${metric.name}=${numberOf(metric)}`),
  ];
}

/** A field keeps its type for ever: what is counted is whole, what is measured never is. */
const numberOf = ({ name, value, unit }: Metric): string =>
  unit === 's' || name === 'certificate' ? decimal(value) : `${decimal(value, 0)}i`;

const nanoseconds = ({ result }: TestVerdict): string => `${Date.parse(result.startTime)}000000`;

/** A backslash has no escape in a tag, and one at its end would take the comma behind it along. */
const tagged = (text: string): string =>
  inOneLine(text)
    .replace(/\\/g, '/')
    .replace(/[,= ]/g, (character) => `\\${character}`);

const quoted = (text: string): string => `"${inOneLine(text).replace(/[\\"]/g, (character) => `\\${character}`)}"`;
