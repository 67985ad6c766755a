import type { Phase } from '../dialogue/dialogue.ts';
import type { TestVerdict } from '../verdict/judge.ts';
import { cmdletRow, notesOf, type Outcome, outcomeOf, shown } from './cmdlet.ts';

/** What -MonitoringContext adds: what SCOM would have put into the event log of the machine that tests. */
export interface MonitoringEvent {
  readonly source: typeof MONITORING_SOURCE;
  readonly id: 1000 | 1001 | 1002;
  readonly type: 'Information' | 'Error' | 'Warning';
  readonly message: string;
}

export interface PerformanceCounter {
  readonly object: typeof MONITORING_SOURCE;
  readonly counter: Phase | 'Latency';
  /** `server|site`; the site may be empty. */
  readonly instance: string;
  /** Milliseconds. */
  readonly value: number;
}

/** Named as the documented one for IMAP is. */
export const MONITORING_SOURCE = 'MSExchange Monitoring POPConnectivity';

/** 1000 is what turns a two-state monitor of SCOM good again. */
export function eventsOf(test: TestVerdict): readonly MonitoringEvent[] {
  const outcome = outcomeOf(test);
  const server = shown(test.text);
  const row = cmdletRow(test.result);
  const notes = notesOf(test).map(({ text }) => text);
  const told = row.Error === '' ? `succeeded in ${row['Latency(MS)']} ms` : row.Error;
  const whole = [outcome === 'skipped' ? `not tested: ${told}` : told, ...notes].join('; ');
  return [{ source: MONITORING_SOURCE, ...KINDS[outcome], message: `${server}: ${whole}` }];
}

const KINDS: Readonly<Record<Outcome, Pick<MonitoringEvent, 'id' | 'type'>>> = {
  succeeded: { id: 1000, type: 'Information' },
  warned: { id: 1002, type: 'Warning' },
  skipped: { id: 1002, type: 'Warning' },
  failed: { id: 1001, type: 'Error' },
};

/** One for each phase that was reached, and the whole of a test that succeeded. */
export function performanceCountersOf({ result }: TestVerdict): readonly PerformanceCounter[] {
  const { casServer, localSite, phases, latencyMs, error } = result;
  const common = { object: MONITORING_SOURCE, instance: `${shown(casServer)}|${shown(localSite ?? '')}` } as const;
  return [
    ...phases.map(({ name, ms }): PerformanceCounter => ({ ...common, counter: name, value: ms })),
    ...(error === null ? [{ ...common, counter: 'Latency', value: latencyMs } as const] : []),
  ];
}
