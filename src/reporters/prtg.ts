import { isTest, type TestVerdict, type Verdict } from '../verdict/judge.ts';
import type { Metric, MetricName } from '../verdict/metric.ts';
import { STATES, type State } from '../verdict/severity.ts';
import { inOneLine, type Member, measuredIn, membersOf } from './members.ts';
import { PLUGIN_EXIT, pluginOutput } from './nagios.ts';
import { PLAIN_MANNER, type Reporter } from './reporter.ts';

/** One channel, by the names of PRTG's elements. */
interface Channel {
  readonly channel: string;
  readonly value: number;
  /** Whether the value has decimals. */
  readonly float?: 1;
  readonly unit: 'TimeResponse' | 'Count' | 'Custom';
  readonly customunit?: string;
  readonly valuelookup?: string;
  readonly limitmode?: 1;
  readonly limitmaxerror?: number;
  readonly limitmaxwarning?: number;
  readonly limitminwarning?: number;
  readonly limitminerror?: number;
}

/** What a sensor of the kind EXE/Script Advanced returns. */
type Sensor =
  | { readonly result: readonly Channel[]; readonly text: string }
  | { readonly error: 1; readonly text: string };

/** The JSON of PRTG's sensors EXE/Script Advanced and SSH Script Advanced. */
export const prtgJson: Reporter = (verdict) => ({
  stdout: `${JSON.stringify({ prtg: sensorOf(verdict) })}\n`,
  exitCode: 0,
});

/** The same in XML, which every version takes. */
export const prtgXml: Reporter = (verdict) => {
  const sensor = sensorOf(verdict);
  const body =
    'error' in sensor
      ? element('error', sensor.error)
      : sensor.result
          .map(
            (channel) =>
              `<result>${Object.entries(channel)
                .map(([name, value]) => element(name, value))
                .join('')}</result>\n`,
          )
          .join('');
  return {
    stdout: `<?xml version="1.0" encoding="UTF-8"?>\n<prtg>\n${body}${element('text', sensor.text)}\n</prtg>\n`,
    exitCode: 0,
  };
};

/** A sensor that says `error` is Down and keeps no value: that is for when there is none. */
function sensorOf(verdict: Verdict): Sensor {
  const members = membersOf(verdict);
  const text = textOf(verdict);
  if (!members.some((member) => measuredIn(member.verdict).length > 0)) return { error: 1, text };
  return { result: isTest(verdict) ? channelsOf(verdict) : channelsOfMany(verdict, members), text };
}

const channelsOf = (test: TestVerdict): readonly Channel[] => [
  stateChannel('State', test.state),
  ...test.metrics.map((metric) =>
    channelOf(metric, CHANNEL[metric.name] ?? `Phase ${metric.name.slice('time_'.length)}`),
  ),
];

/** Its values are the states in the file `popconnectivity.state.ovl`. */
const stateChannel = (channel: string, state: State): Channel => ({
  channel,
  value: PLUGIN_EXIT[state],
  unit: 'Custom',
  valuelookup: 'popconnectivity.state',
});

/** PRTG knows a channel by its name for ever; the others are called after their phase. */
const CHANNEL: Readonly<Partial<Record<MetricName, string>>> = {
  time: 'Time',
  delivery: 'Delivery',
  polls: 'Polls',
  messages: 'Messages',
  octets: 'Octets',
  certificate: 'Certificate',
  stale: 'Stale',
};

function channelOf({ name, value, unit, warning, critical, least }: Metric, channel: string): Channel {
  const factor = unit === 's' ? 1000 : 1; // times are in milliseconds
  const scaled = (number: number): number => Number((number * factor).toFixed(3));
  const limit = (key: keyof Channel, bound: number | undefined): Partial<Channel> =>
    bound === undefined || !Number.isFinite(bound) || bound === least ? {} : { [key]: scaled(bound) };
  // PRTG's limits are those of a range: it is well at the bound itself. It has none for the inside of one.
  const [alarm, worry] = [critical, warning].map((range) => (range === null || range.alertInside ? null : range));
  const limits: Partial<Channel> = {
    ...limit('limitmaxerror', alarm?.end),
    ...limit('limitmaxwarning', worry?.end),
    ...limit('limitminwarning', worry?.start),
    ...limit('limitminerror', alarm?.start),
  };
  return {
    ...{ channel, value: scaled(value) },
    ...(unit === 's' || name === 'certificate' ? ({ float: 1 } as const) : {}),
    ...unitOf(name, unit),
    ...(Object.keys(limits).length === 0 ? {} : { limitmode: 1, ...limits }),
  };
}

function unitOf(name: MetricName, unit: Metric['unit']): Pick<Channel, 'unit' | 'customunit'> {
  if (unit === 's') return { unit: 'TimeResponse' };
  if (name === 'certificate') return { unit: 'Custom', customunit: 'days' };
  return name === 'octets' ? { unit: 'Custom', customunit: 'octets' } : { unit: 'Count' };
}

/** More than that PRTG does not promise to show. */
const MOST_CHANNELS = 50;

/**
 * The worst state, how many are in which, and of each server what there is room for: state and time, the state, or
 * nothing. That goes by how many there are, and not by how they are: channels are to stay.
 */
function channelsOfMany({ state }: Verdict, members: readonly Member[]): readonly Channel[] {
  const count = (channel: string, value: number): Channel => ({ channel, value, unit: 'Count' });
  const common = [
    stateChannel('State', state),
    count('Servers', members.length),
    ...STATES.map((each) => count(COUNTED[each], members.filter(({ verdict }) => verdict.state === each).length)),
  ];
  const each = Math.floor((MOST_CHANNELS - common.length) / members.length);
  if (each === 0) return common;
  return [
    ...common,
    ...members.flatMap(({ name, verdict }) => [
      stateChannel(inOneLine(`${name} state`), verdict.state),
      ...(each === 1 ? [] : measuredIn(verdict))
        .filter((metric) => metric.name === 'time')
        .map((metric) => channelOf(metric, inOneLine(`${name} time`))),
    ]),
  ];
}

const COUNTED: Readonly<Record<State, string>> = {
  ok: 'OK',
  warning: 'Warning',
  unknown: 'Unknown',
  critical: 'Critical',
};

/** PRTG cuts what is longer, and everything from a number sign on. */
const LONGEST_TEXT = 2000;

function textOf(verdict: Verdict): string {
  const text = inOneLine(pluginOutput(verdict, PLAIN_MANNER).lines.join('; ')).replace(/#/g, '_');
  // Not in the middle of a character.
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

const element = (name: string, value: string | number): string => `<${name}>${escaped(String(value))}</${name}>`;

/** XML 1.0 has no form at all for some characters. */
const escaped = (text: string): string =>
  text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;');
