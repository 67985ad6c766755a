import { isTest, type Verdict } from '../verdict/judge.ts';
import type { State } from '../verdict/severity.ts';
import { pluginOutput } from './nagios.ts';
import { PLAIN_MANNER } from './reporter.ts';

/** As a plugin exits, so that a value map or a trigger may count on it. */
const STATUS: Readonly<Record<State, number>> = { ok: 0, warning: 1, critical: 2, unknown: 3 };

/**
 * A verdict as one JSON object: the value of a Zabbix master item, whose dependent items take their parts by JSONPath.
 * What was not measured is not there; Zabbix then keeps what it has.
 */
export function zabbixValue(verdict: Verdict): string {
  const [text = ''] = pluginOutput(verdict, PLAIN_MANNER).lines;
  const value = { status: STATUS[verdict.state], state: verdict.state.toUpperCase(), text };
  if (!isTest(verdict)) return JSON.stringify(value);
  const { result, metrics } = verdict;
  return JSON.stringify({
    ...value,
    server: result.casServer,
    reason: result.error?.reason ?? '',
    phase: result.error?.phase ?? '',
    tls: result.tls?.protocol ?? '',
    metrics: Object.fromEntries(metrics.map(({ name, value: number }) => [name, Number(number.toFixed(6))])),
  });
}
