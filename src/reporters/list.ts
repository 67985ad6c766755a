import { type TestVerdict, testsIn } from '../verdict/judge.ts';
import { FIELDS, fieldsOf, peopleExit } from './cmdlet.ts';
import { list as listed, separated } from './layout.ts';
import { eventsOf, MONITORING_SOURCE, performanceCountersOf } from './monitoring-context.ts';
import { paintFor } from './paint.ts';
import type { Manner, Reporter } from './reporter.ts';
import { footer } from './table.ts';

/** What `| Format-List` shows of the cmdlet's results: `Name : value`, an empty line between servers. */
export const list: Reporter = (verdict, manner) => {
  const servers = testsIn(verdict).map((test) => block(test, manner));
  return {
    stdout: `${separated([...servers, footer(verdict, manner)]).join('\n')}\n`,
    exitCode: peopleExit(verdict),
  };
};

function block(test: TestVerdict, manner: Manner): readonly string[] {
  const fields = fieldsOf(test);
  const lines: readonly (readonly [string, string])[] = [
    ...FIELDS.map((name) => [name, fields[name]] as const),
    ...(manner.monitoringContext ? context(test) : []),
  ];
  const names = lines.map(([name]) => name);
  const paints = names.map((name) => (name === 'Result' ? paintFor(manner) : undefined));
  return listed(
    names,
    lines.map(([, value]) => value),
    manner.width,
    paints,
  );
}

function context(test: TestVerdict): readonly (readonly [string, string])[] {
  const counters = performanceCountersOf(test);
  const values = counters.map(({ counter, value }) => `${counter} ${value.toFixed(2)}`).join(', ');
  return [
    [
      'Events',
      eventsOf(test)
        .map(({ source, id, type, message }) => `${source} ${id} ${type}, ${message}`)
        .join('; '),
    ],
    [
      'PerformanceCounters',
      counters[0] === undefined ? '' : `${MONITORING_SOURCE}(${counters[0].instance}): ${values}`,
    ],
  ];
}
