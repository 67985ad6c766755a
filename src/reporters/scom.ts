import type { Reason } from '../dialogue/failure.ts';
import { isTest, type TestVerdict, testsIn, type Verdict } from '../verdict/judge.ts';
import { REASONS, type State } from '../verdict/severity.ts';
import { shown } from './cmdlet.ts';
import { eventsOf, MONITORING_SOURCE, type MonitoringEvent, performanceCountersOf } from './monitoring-context.ts';
import { pluginOutput } from './nagios.ts';
import { PLAIN_MANNER, type Report, type Reporter } from './reporter.ts';

/**
 * What SCOM's PowerShell script makes property bags of: one JSON document, a bag for each test. In ASCII alone, for
 * what stands between a process and PowerShell reads other characters as it likes.
 */
export const scomJson: Reporter = (verdict) => ({
  stdout: `${ascii(JSON.stringify({ bags: bagsOf(verdict).map((properties) => ({ properties })) }))}\n`,
  exitCode: exitOf(verdict),
});

/**
 * The same as SCOM itself writes a bag: XML as MOM.ScriptAPI returns it, several bags in one collection.
 *
 * @param now the time that stands on the bags
 */
export function scomBag(verdict: Verdict, now: Date): Report {
  const time = now.toISOString().replace('Z', '0000+00:00');
  const head = `<DataItem type="System.PropertyBagData" time="${time}" sourceHealthServiceId="${NO_AGENT}">`;
  const items = bagsOf(verdict).map((bag) => `${head}${bag.map(property).join('')}</DataItem>`);
  return { stdout: `<Collection>${items.join('')}</Collection>\n`, exitCode: exitOf(verdict) };
}

/** A result is no fault of ours, whatever it is. A refusal must not read as good where the exit code is what counts. */
const exitOf = (verdict: Verdict): number => (testsIn(verdict).length === 0 ? 3 : 0);

/** The state as one word, and as the exit code of a plugin: for the shell command of a UNIX or Linux agent. */
export const scomWord: Reporter = (verdict, manner) => {
  const { lines, exitCode } = pluginOutput(verdict, PLAIN_MANNER);
  const told = manner.verbosity === 0 ? [] : lines.map(clean);
  return { stdout: `${[wordOf(verdict.state), ...told].join('\n')}\n`, exitCode };
};

/** The servers there are to be discovered, by the names their bags have. */
export const scomServers = (names: readonly string[]): string => ascii(JSON.stringify({ servers: names.map(clean) }));

/** One value of a bag. An attribute of SCOM's; what was not measured has none. */
export interface Property {
  readonly name: string;
  readonly type: keyof typeof VARIANT_TYPES;
  readonly value: string | number | boolean;
}

/** As MOM.ScriptAPI numbers the types of values. */
const VARIANT_TYPES = { Integer: 3, Double: 5, String: 8, Boolean: 11 } as const;

/** The agent that a bag is from puts its own there. */
const NO_AGENT = '00000000-0000-0000-0000-000000000000';

type Bag = readonly Property[];

/** A bag for each test; where nothing was tested one that says why, and names no server: it is about all of them. */
function bagsOf(verdict: Verdict): readonly Bag[] {
  if (isTest(verdict)) return [bagOf(verdict)];
  if (verdict.parts.length === 0) return [refusalOf({ ...verdict, text: '', parts: [verdict] })];
  if (testsIn(verdict).length === 0) return [refusalOf(verdict)];
  return ([] as Bag[]).concat(...verdict.parts.filter((part) => isTest(part) || part.state !== 'ok').map(bagsOf));
}

function bagOf(test: TestVerdict): Bag {
  const { result, metrics } = test;
  const { error, warnings, tls, roundTrip } = result;
  const problem = error ?? warnings[0];
  const [event] = eventsOf(test);
  const counters = performanceCountersOf(test);
  const metric = (name: string): number | undefined => metrics.find((each) => each.name === name)?.value;
  return [
    ...told(test, { server: test.text, result: result.result, event: event as MonitoringEvent }),
    string('Phase', problem?.phase ?? NONE),
    string('Reason', problem?.reason ?? NONE),
    string('Message', problem?.message ?? NONE),
    string('Hint', problem?.hint ?? NONE),
    string('ConnectionType', result.connectionType),
    ...integer('Port', result.port),
    string('Address', result.address ?? NONE),
    string('UserName', result.userName),
    string('StartTime', result.startTime),
    string('TlsProtocol', tls?.protocol ?? NONE),
    ...double('CertificateDays', metric('certificate')),
    ...integer('Messages', metric('messages')),
    ...double('Octets', metric('octets')),
    ...(roundTrip === null ? [] : tripOf(roundTrip)),
    ...double('DeliveryMs', roundTrip?.deliveryMs ?? undefined),
    string('CounterInstance', `${result.casServer}|${result.localSite ?? ''}`),
    ...counters.flatMap(({ counter, value }) => double(propertyOf(counter), value)),
  ];
}

/** The property that has the value of a performance counter, in milliseconds. */
export const propertyOf = (counter: string): string =>
  counter === 'Latency' ? 'LatencyMs' : `Phase${counter.charAt(0).toUpperCase()}${counter.slice(1)}Ms`;

const tripOf = (trip: NonNullable<TestVerdict['result']['roundTrip']>): Bag => [
  { name: 'Retrieved', type: 'Boolean', value: trip.retrieved },
  { name: 'Deleted', type: 'Boolean', value: trip.deleted },
  { name: 'Verified', type: 'Boolean', value: trip.verified },
  ...integer('Polls', trip.polls),
  ...integer('Stale', trip.stale),
];

function refusalOf(verdict: Verdict): Bag {
  const said = verdict.parts[0]?.text ?? verdict.text;
  const [, reason = '', phase, message, hint] = /^([a-z0-9-]+)(?: in ([a-z]+))?(?:, (.*))? - (.*)$/s.exec(said) ?? [];
  const isKnown = REASONS.includes(reason as Reason);
  const event = { source: MONITORING_SOURCE, id: 1002, type: 'Warning', message: `not tested: ${said}` } as const;
  return [
    ...told(verdict, { server: '', result: 'Skipped', event }),
    string('Phase', phase ?? NONE),
    string('Reason', isKnown ? reason : NONE),
    string('Message', isKnown ? (message ?? NONE) : said),
    string('Hint', isKnown ? (hint ?? NONE) : NONE),
  ];
}

/** What every bag has. */
function told(
  verdict: Verdict,
  { server, result, event }: { readonly server: string; readonly result: string; readonly event: MonitoringEvent },
): Bag {
  const [text = ''] = pluginOutput(verdict, PLAIN_MANNER).lines;
  return [
    string('State', wordOf(verdict.state)),
    string('Server', server),
    string('Result', result),
    string('Text', text),
    string('EventSource', event.source),
    ...integer('EventId', event.id),
    ...integer('EventLevel', LEVELS[event.type]),
    string('EventMessage', event.message),
  ];
}

/** As the event log numbers them. */
const LEVELS: Readonly<Record<MonitoringEvent['type'], number>> = { Error: 1, Warning: 2, Information: 4 };

/** In an alert's text an empty place looks like a fault of the pack. */
const NONE = 'none';

const wordOf = (state: State): string => state.toUpperCase();

const string = (name: string, value: string): Property => ({ name, type: 'String', value: clean(value) });

const integer = (name: string, value: number | undefined): Bag =>
  value === undefined ? [] : [{ name, type: 'Integer', value }];

/** To the thousandth. */
const double = (name: string, value: number | undefined): Bag =>
  value === undefined ? [] : [{ name, type: 'Double', value: Number(value.toFixed(3)) }];

/** One line, and nothing XML 1.0 has no place for: what `shown` escapes, and the two last characters of the plane. */
const clean = (text: string): string =>
  shown(text).replace(/[\ufffe\uffff]/g, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);

const property = ({ name, type, value }: Property): string =>
  `<Property Name="${name}" VariantType="${VARIANT_TYPES[type]}">${escaped(written(type, value))}</Property>`;

/** Fixed-point: an exponent is no number everywhere. */
const written = (type: Property['type'], value: Property['value']): string =>
  type === 'Double' ? (value as number).toFixed(3) : String(value);

const escaped = (text: string): string =>
  text.replace(/[&<>"']|[^ -~]/gu, (character) => `&#${character.codePointAt(0)};`);

const ascii = (json: string): string =>
  json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
