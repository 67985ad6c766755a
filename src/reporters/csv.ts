import type { Phase } from '../dialogue/dialogue.ts';
import { type TestVerdict, testsIn } from '../verdict/judge.ts';
import { METRIC_NAMES } from '../verdict/metric.ts';
import { aside } from './aside.ts';
import { COLUMNS, cmdletRow, FIELDS, fieldsOf, notesOf, peopleExit } from './cmdlet.ts';
import { eventsOf, performanceCountersOf } from './monitoring-context.ts';
import type { Reporter } from './reporter.ts';

/**
 * What `| ConvertTo-Csv` was for: comma-separated values (RFC 4180) under their names. First the columns of the
 * table, then the other fields of the cmdlet, then what we add; the columns never depend on what was found.
 */
export const csv: Reporter = (verdict, { monitoringContext }) => {
  const names = [...COLUMNS, ...OTHERS, 'Warnings', ...(monitoringContext ? CONTEXT : [])];
  const rows = testsIn(verdict).map((test) => [...cellsOf(test), ...(monitoringContext ? contextOf(test) : [])]);
  const stdout = [names, ...rows].map((cells) => `${cells.map(cell).join(',')}\r\n`).join('');
  return { stdout, ...aside(verdict), exitCode: peopleExit(verdict) };
};

/** The fields of the cmdlet that its table does not have. */
const OTHERS = FIELDS.filter((name) => !(COLUMNS as readonly string[]).includes(name));

function cellsOf(test: TestVerdict): readonly string[] {
  const row = cmdletRow(test.result);
  const fields = fieldsOf(test);
  const notes = notesOf(test).map(({ text }) => text);
  return [...COLUMNS.map((name) => row[name]), ...OTHERS.map((name) => fields[name]), notes.join('; ')];
}

const COUNTERS: readonly (Phase | 'Latency')[] = [
  ...METRIC_NAMES.filter((name) => name.startsWith('time_')).map((name) => name.slice('time_'.length) as Phase),
  'Latency',
];

const CONTEXT = [
  'EventSource',
  'EventId',
  'EventLogType',
  'EventMessage',
  'CounterObject',
  'CounterInstance',
  ...COUNTERS.map((counter) => `Counter ${counter}`),
];

function contextOf(test: TestVerdict): readonly string[] {
  const [event] = eventsOf(test);
  const counters = performanceCountersOf(test);
  const values = new Map(counters.map(({ counter, value }) => [counter, value.toFixed(2)]));
  return [
    ...(event === undefined ? ['', '', '', ''] : [event.source, String(event.id), event.type, event.message]),
    counters[0]?.object ?? '',
    counters[0]?.instance ?? '',
    ...COUNTERS.map((counter) => values.get(counter) ?? ''),
  ];
}

const NUMBER = /^-?\d+(?:\.\d+)?$/;

/** What a spreadsheet would calculate, in either width of letters (OWASP, "CSV Injection"). */
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

function cell(value: string): string {
  const safe = FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value;
  return /[",\r\n;\t]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
