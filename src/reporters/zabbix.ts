import { isTest, testsIn, type Verdict } from '../verdict/judge.ts';
import { written } from './json.ts';
import { inOneLine, type Member, measuredIn, membersOf } from './members.ts';
import { PLUGIN_EXIT, pluginOutput } from './nagios.ts';
import { PLAIN_MANNER, type Reporter } from './reporter.ts';

/**
 * What an external check prints: the value of a master item, whose dependent items take their parts by JSONPath. The
 * verdict is data, so a failure is printed like a success. Where nothing was tested it is text: no JSON, so that the
 * item is unsupported, with those words for the reason.
 */
export const zabbix: Reporter = (verdict) => {
  if (testsIn(verdict).length === 0) return { stdout: `${lineOf(verdict)}\n`, exitCode: NO_VERDICT };
  // A file of targets may hold one server alone, and its items look for it in the list.
  const value = isTest(verdict) ? { ...partsOf(verdict), servers: serversOf(verdict) } : partsOf(verdict);
  return { stdout: `${written(value, 0)}\n`, exitCode: 0 };
};

/** Zabbix does not look at it; whoever calls it from elsewhere does. */
const NO_VERDICT = 3;

/** A verdict as one JSON object: what a trapper item is given. */
export const zabbixValue = (verdict: Verdict): string => written(partsOf(verdict), 0);

/**
 * What low-level discovery makes items for: an entry for each server, also for one whose settings are refused, since
 * somebody wants it tested.
 *
 * @param targets what a server is called in the list of `zabbix`, and as it was given
 */
export const zabbixDiscovery = (targets: readonly { readonly label: string; readonly server: string }[]): string =>
  JSON.stringify(targets.map(({ label, server }) => ({ '{#LABEL}': label, '{#SERVER}': server })));

function partsOf(verdict: Verdict): object {
  const state = stateOf(verdict);
  if (isTest(verdict)) return { ...state, server: verdict.result.casServer, ...factsOf(verdict) };
  return verdict.parts.some(isTest) ? { ...state, servers: serversOf(verdict) } : state;
}

const stateOf = (verdict: Verdict): object => ({
  status: PLUGIN_EXIT[verdict.state],
  state: verdict.state.toUpperCase(),
  text: lineOf(verdict),
});

/** Each under the name of its target: a server may be there twice, by different users. */
const serversOf = (verdict: Verdict): readonly object[] =>
  membersOf(verdict).map(({ name, verdict: member }: Member) => ({
    server: name,
    ...stateOf(member),
    ...factsOf(member),
  }));

/** What was not measured is not there; Zabbix then keeps what it has. */
function factsOf(verdict: Verdict): object {
  if (!isTest(verdict)) return { reason: '', phase: '', tls: '', metrics: {} };
  const { error, warnings, tls, latencyMs } = verdict.result;
  const problem = error ?? (verdict.state === 'ok' ? undefined : warnings[0]);
  return {
    reason: problem?.reason ?? '',
    phase: problem?.phase ?? '',
    tls: tls?.protocol ?? '',
    // How long it took to fail is no latency.
    ...(error === null ? { latency: rounded(latencyMs / 1000) } : {}),
    metrics: Object.fromEntries(measuredIn(verdict).map(({ name, value }) => [name, rounded(value)])),
  };
}

/** To the millionth; whole numbers stay whole. */
const rounded = (value: number): number => Number(value.toFixed(6));

const lineOf = (verdict: Verdict): string => inOneLine(pluginOutput(verdict, PLAIN_MANNER).lines[0] ?? '');
