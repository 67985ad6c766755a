import { isTest, type TestVerdict, type Verdict } from '../verdict/judge.ts';
import type { Metric } from '../verdict/metric.ts';
import { alerts, type Range } from '../verdict/range.ts';
import { decimal, inOneLine, type Member, measuredIn, membersOf } from './members.ts';
import { PLUGIN_EXIT, pluginOutput } from './nagios.ts';
import type { Manner, Reporter } from './reporter.ts';

/** Who judges by the levels, and whose services they are. */
interface Way {
  readonly judge: 'us' | 'checkmk';
  readonly host: 'this one' | 'each server';
}

const writing =
  (way: Way): Reporter =>
  (verdict, manner) => {
    const members = membersOf(verdict);
    const stdout =
      way.host === 'this one'
        ? members.map((member) => `${lineOn(member, itemOf(member.name), way, manner)}\n`).join('')
        : piggyback(members, way, manner);
    return { stdout, exitCode: 0 };
  };

/**
 * Lines of Checkmk's local checks, one for each server: `STATE "ITEM" PERFORMANCE TEXT`. The agent throws away what a
 * cached check says that exits with anything but 0.
 */
export const checkmk: Reporter = writing({ judge: 'us', host: 'this one' });

/** By the values of --format. */
export const CHECKMK_FORMATS: Readonly<Record<string, Reporter>> = {
  local: checkmk,
  levels: writing({ judge: 'checkmk', host: 'this one' }),
  piggyback: writing({ judge: 'us', host: 'each server' }),
  'piggyback-levels': writing({ judge: 'checkmk', host: 'each server' }),
};

function lineOn({ verdict }: Member, item: string, { judge }: Way, manner: Manner): string {
  const state = judge === 'checkmk' && isLeftToLevels(verdict) ? 'P' : PLUGIN_EXIT[verdict.state];
  return `${state} "${item}" ${measuredIn(verdict).map(written).join('|') || '-'} ${textOf(verdict, manner)}`;
}

/** What is the matter, and with `-v` more of it: Checkmk makes a line end of every `\n` it reads, a server's too. */
const textOf = (verdict: Verdict, manner: Manner): string =>
  pluginOutput(verdict, manner)
    .lines.map((line) => inOneLine(line).replace(/\\(?=n)/g, '/'))
    .join('\\n');

/** Whether Checkmk comes to the verdict by itself: nothing is wrong but with values, and it understands their bounds. */
function isLeftToLevels(verdict: Verdict): verdict is TestVerdict {
  if (!isTest(verdict) || verdict.result.error !== null || verdict.isUnexpected) return false;
  const { metrics, parts } = verdict;
  const troubles = parts.filter(({ state }) => state !== 'ok').length;
  return troubles === metrics.filter(isBeyond).length && metrics.every(isUnderstood);
}

const isBeyond = ({ warning, critical, value }: Metric): boolean =>
  [warning, critical].some((range) => range !== null && alerts(range, value));

const isUnderstood = ({ warning, critical }: Metric): boolean =>
  [warning, critical].every((range) => range === null || !range.alertInside);

/** `name=value;warning;critical;least`, without units: a graph would drop them. */
function written({ name, value, warning, critical, least }: Metric): string {
  const bounds = [levels(warning, least), levels(critical, least), least === null ? '' : decimal(least)];
  return `${name}=${decimal(value, 3)};${bounds.join(';')}`.replace(/;+$/, '');
}

/** A range as Checkmk's levels, `upper` or `lower:upper`, where either may be missing. It has no word for `@`. */
function levels(range: Range | null, least: number | null): string {
  if (range === null || range.alertInside) return '';
  const { start, end } = range;
  const lower = start === Number.NEGATIVE_INFINITY || start === least ? '' : `${decimal(start)}:`;
  return `${lower}${end === Number.POSITIVE_INFINITY ? '' : decimal(end)}`;
}

/** What Checkmk and its cores take for the name of a service. */
const itemOf = (name: string): string => `POP3 ${name}`.replace(/[^\p{L}\p{N} ._:@#/[\]+-]/gu, '_').trim();

/** A section for each server, that makes the services those of the host of that name. */
function piggyback(members: readonly Member[], way: Way, manner: Manner): string {
  const hosts = new Map<string, string[]>();
  for (const member of members) {
    const server = serverOf(member);
    const host = server.replace(/[^A-Za-z0-9_.-]/g, '_');
    const item = itemOf(member.name.startsWith(server) ? member.name.slice(server.length).trim() : member.name);
    hosts.set(host, [...(hosts.get(host) ?? []), lineOn(member, item, way, manner)]);
  }
  return Array.from(hosts, ([host, lines]) => `<<<<${host}>>>>\n<<<local:sep(0)>>>\n${lines.join('\n')}\n`)
    .concat('<<<<>>>>\n')
    .join('');
}

/** Of a run that never began there is none: that is the matter of the host it was to run on. */
const serverOf = ({ name, verdict }: Member): string =>
  isTest(verdict) ? verdict.result.casServer : name.split(' ', 1).join('');
