import type { PassiveResult } from '../deliver/destination.ts';
import { type ProbeFailure, usage } from '../dialogue/failure.ts';
import type { Stop } from '../probe/world.ts';
import { PLUGIN_EXIT, pluginOutput } from '../reporters/nagios.ts';
import type { Manner } from '../reporters/reporter.ts';
import { zabbixValue } from '../reporters/zabbix.ts';
import type { Addressee, DeliveryPlan } from '../request/delivery.ts';
import type { Aim } from '../run/run-all.ts';
import { testsIn, type Verdict } from '../verdict/judge.ts';

/** The verdicts on the aims of a run, and how they are told. */
export interface Outcome {
  readonly verdicts: ReadonlyMap<Aim, Verdict>;
  readonly manner: Manner;
  /** The signal that ended the run, if one did. */
  readonly ended: ProbeFailure | null;
}

/** What came of it: a line for each platform. */
export interface HandedOver {
  readonly lines: string;
  readonly exitCode: number;
}

/**
 * Hands every result over to the platforms that did not ask for it.
 *
 * @param stop ends it early: what is not delivered waits for the next run
 */
export async function handOver(plan: DeliveryPlan, outcome: Outcome, stop: Stop): Promise<HandedOver> {
  const { deliver } = await import('../deliver/deliver.ts');
  const { tellDeliveries } = await import('../deliver/tell.ts');
  const results = Array.from(outcome.verdicts, ([aim, verdict]) => resultOf(aim, verdict, outcome));
  const deliveries = await deliver(
    plan,
    results.filter((result) => result !== null),
    stop,
  );
  const { lines, state } = tellDeliveries(deliveries, Date.now());
  return { lines: lines.join(''), exitCode: PLUGIN_EXIT[state] };
}

/** Null for a test that was cut short by a signal: it says nothing, and the result before it stands. */
function resultOf({ addressee }: Aim, verdict: Verdict, { manner, ended }: Outcome): PassiveResult | null {
  const tests = testsIn(verdict);
  const isCutShort = tests.some(({ result }) => result.error?.reason === 'interrupted');
  if (addressee === null || (ended !== null && isCutShort)) return null;
  const began = tests.map(({ result }) => Date.parse(result.startTime));
  const { lines, perfdata, exitCode } = pluginOutput(verdict, manner);
  return {
    ...addressee,
    state: exitCode,
    output: shortened(lines.join('\n')),
    perfdata,
    json: zabbixValue(verdict),
    began: Math.min(...began),
    ended: Math.max(...tests.map(({ result }, at) => (began[at] as number) + Math.round(result.latencyMs))),
  };
}

/** What a platform may be expected to keep of one result, and a spool to hold of a thousand. */
const LONGEST_OUTPUT = 16_000;
const shortened = (output: string): string =>
  output.length <= LONGEST_OUTPUT ? output : `${output.slice(0, LONGEST_OUTPUT).replace(/[^\n]*$/, '')}…`;

/**
 * Whether every result has an object of its own.
 *
 * @throws ProbeFailure `usage`
 */
export function refuseSharedServices(aims: readonly Aim[]): void {
  const labels = new Map<string, string>();
  for (const { label, addressee } of aims) {
    if (addressee === null) continue;
    const name = nameOf(addressee);
    const other = labels.get(name);
    if (other !== undefined) {
      throw usage(`${other} and ${label} would both be ${name}: give each a --deliver-service or -host of its own`);
    }
    labels.set(name, label);
  }
}

/** An object as Icinga names it. */
export const nameOf = ({ host, service }: Addressee): string => `${host}!${service}`;
