import type { ProbeResult } from '../probe/result.ts';
import { type TestVerdict, testsIn } from '../verdict/judge.ts';
import { aside } from './aside.ts';
import { peopleExit } from './cmdlet.ts';
import {
  eventsOf,
  type MonitoringEvent,
  type PerformanceCounter,
  performanceCountersOf,
} from './monitoring-context.ts';
import type { Manner, Reporter } from './reporter.ts';

/** A result as programs get it: docs/probe-result.schema.json. */
export type ProbeRecord = ProbeResult & {
  readonly events?: readonly MonitoringEvent[];
  readonly performanceCounters?: readonly PerformanceCounter[];
};

/** One JSON array of results, for people to look at too. */
export const json: Reporter = (verdict, manner) => ({
  stdout: `${written(
    testsIn(verdict).map((test) => recordOf(test, manner)),
    2,
  )}\n`,
  ...aside(verdict),
  exitCode: peopleExit(verdict),
});

export function recordOf(test: TestVerdict, { monitoringContext }: Manner): ProbeRecord {
  if (!monitoringContext) return test.result;
  return { ...test.result, events: eventsOf(test), performanceCounters: performanceCountersOf(test) };
}

/** JSON that shows on a terminal as it is: what could drive one, or reorder its text, is escaped; the value is the same. */
export const written = (value: unknown, indent: number): string =>
  JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
