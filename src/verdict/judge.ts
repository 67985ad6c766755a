import type { Phase } from '../dialogue/dialogue.ts';
import type { Reason } from '../dialogue/failure.ts';
import type { ProbeResult, Problem } from '../probe/result.ts';
import { certificateDefaults, describeValue, type Metric, measure, type Thresholds } from './metric.ts';
import { alerts, describeAlert } from './range.ts';
import { type State, stateOfFailure, worst } from './severity.ts';

/** A verdict is a tree: the state of each node is the worst of its parts. */
export interface Verdict {
  readonly state: State;
  /** One clause for people. */
  readonly text: string;
  readonly parts: readonly Verdict[];
}

/** The verdict on one test. */
export interface TestVerdict extends Verdict {
  readonly result: ProbeResult;
  readonly metrics: readonly Metric[];
}

export const isTest = (verdict: Verdict): verdict is TestVerdict => 'result' in verdict;

/** By what a result is judged. */
export interface Policy {
  readonly warning: Thresholds;
  readonly critical: Thresholds;
  /** Whether a certificate about to expire counts though no threshold was set for it. */
  readonly certificateDefaults: boolean;
  /** What is to be said whatever the verdict; it changes no state. */
  readonly remarks: readonly string[];
}

/** Takes the verdict on a result: once, for every platform. */
export function judge(result: ProbeResult, policy: Policy): TestVerdict {
  const metrics = measure(result).map((measured): Metric => {
    const usual =
      measured.name === 'certificate' && policy.certificateDefaults && result.tls !== null
        ? certificateDefaults(result.tls.lifetimeDays)
        : { warning: null, critical: null };
    return {
      ...measured,
      warning: policy.warning.get(measured.name) ?? usual.warning,
      critical: policy.critical.get(measured.name) ?? usual.critical,
    };
  });
  const failure =
    result.error === null ? null : leaf(stateOfFailure(result.error.reason, result.error.phase), result.error);
  // How long it took not to measure anything is no measure of the mail server.
  const measured = failure?.state === 'unknown' ? [] : metrics;
  const parts = [
    ...(failure === null ? [] : [failure]),
    ...result.warnings.map((warning) => leaf('warning', warning)),
    ...measured.map(judgeMetric).filter((part): part is Verdict => part !== null),
    ...policy.remarks.map((text): Verdict => ({ state: 'ok', text, parts: [] })),
  ];
  return { state: worst(parts.map(({ state }) => state)), text: result.casServer, parts, result, metrics };
}

/** The verdict on a run that never began: a command line we do not understand, an interrupted start. */
export const refuse = (problem: Problem): Verdict => {
  const part = leaf(stateOfFailure(problem.reason, problem.phase), problem);
  return { state: part.state, text: '', parts: [part] };
};

const leaf = (state: State, problem: Problem): Verdict => ({ state, text: describeProblem(problem), parts: [] });

/** Critical before warning; within bounds it says nothing. */
function judgeMetric(metric: Metric): Verdict | null {
  for (const state of ['critical', 'warning'] as const) {
    const range = metric[state];
    if (range !== null && alerts(range, metric.value)) {
      return { state, text: `${describeValue(metric)} (${state} ${describeAlert(range, metric.value)})`, parts: [] };
    }
  }
  return null;
}

/** Where a reason is at home: there the phase would only repeat it. */
const HOME: Readonly<Partial<Record<Reason, Phase>>> = {
  'dns-not-found': 'dns',
  'dns-unavailable': 'dns',
  'connection-refused': 'connect',
  unreachable: 'connect',
  'not-pop3': 'greeting',
  'stls-not-offered': 'stls',
  'stls-refused': 'stls',
  'plaintext-after-stls': 'stls',
  'tls-failed': 'tls',
  'certificate-expired': 'tls',
  'certificate-not-yet-valid': 'tls',
  'certificate-wrong-host': 'tls',
  'certificate-untrusted': 'tls',
  'certificate-revoked': 'tls',
  'certificate-weak': 'tls',
  'login-refused': 'login',
  'mechanism-not-offered': 'login',
  'mailbox-in-use': 'login',
  'login-delay': 'login',
};

/** `timed-out in greeting, no greeting within 10 s - check …` */
export function describeProblem({ reason, phase, message, hint }: Problem): string {
  const where = phase === null || HOME[reason] === phase ? '' : ` in ${phase}`;
  return `${reason}${where}${message === '' ? '' : `, ${message}`} - ${hint}`;
}
