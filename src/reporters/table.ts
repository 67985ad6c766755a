import { testsIn, type Verdict } from '../verdict/judge.ts';
import { COLUMNS, cmdletRow, footerOf, peopleExit } from './cmdlet.ts';
import { type Column, paragraph, separated, tabulate } from './layout.ts';
import { eventsOf, MONITORING_SOURCE, performanceCountersOf } from './monitoring-context.ts';
import { paintFor } from './paint.ts';
import type { Manner, Reporter } from './reporter.ts';

/**
 * What the cmdlet shows when nothing else is asked for: a row for each server in the order of the verdict, and below
 * it what no row tells. On a terminal it is fitted to the width; elsewhere a row is a line.
 */
export const table: Reporter = (verdict, manner) => {
  const tests = testsIn(verdict);
  const rows = tests.map(({ result }) => COLUMNS.map((column) => cmdletRow(result)[column]));
  const blocks = [
    tests.length === 0 ? [] : tabulate(columnsFor(manner), rows, manner.width),
    ...(manner.monitoringContext && tests.length > 0 ? context(verdict, manner) : []),
    footer(verdict, manner),
  ];
  return { stdout: `${separated(blocks).join('\n')}\n`, exitCode: peopleExit(verdict) };
};

const columnsFor = (manner: Manner): readonly Column[] =>
  COLUMNS.map((name) => ({
    name,
    isNumber: name === 'Latency(MS)',
    isWordy: name === 'Scenario',
    ...(name === 'Result' ? { paint: paintFor(manner) } : {}),
  }));

/** Warnings and remarks, each with its server; where nothing was tested, why. */
export const footer = (verdict: Verdict, { width }: Manner): readonly string[] =>
  footerOf(verdict).flatMap((line) => paragraph(line, width));

function context(verdict: Verdict, { width }: Manner): readonly (readonly string[])[] {
  const tests = testsIn(verdict);
  const events = tests.flatMap((test) =>
    eventsOf(test).map(({ id, type, message }) => [cmdletRow(test.result).CasServer, String(id), type, message]),
  );
  const counters = tests.flatMap((test) =>
    performanceCountersOf(test).map(({ instance, counter, value }) => [counter, value.toFixed(2), instance]),
  );
  const named = (title: string): readonly string[] => paragraph(`${title} of ${MONITORING_SOURCE}:`, width);
  const eventColumns = ['CasServer', 'Id', 'Type', 'Message'].map((name): Column => ({ name }));
  const counterColumns: readonly Column[] = [
    { name: 'Counter' },
    { name: 'Value(MS)', isNumber: true },
    { name: 'Instance' },
  ];
  return [
    [...named('Events'), ...tabulate(eventColumns, events, width)],
    counters.length === 0 ? [] : [...named('Performance counters'), ...tabulate(counterColumns, counters, width)],
  ];
}
