import type { Phase } from '../dialogue/dialogue.ts';
import type { Reason } from '../dialogue/failure.ts';
import type { ProbeResult, Problem, RoundTrip, Spoken } from '../probe/result.ts';
import {
  certificateDefaults,
  describeValue,
  type Metric,
  type MetricName,
  measure,
  type Thresholds,
} from './metric.ts';
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
  /** What a good outcome is summed up by. */
  readonly summary: string;
  readonly result: ProbeResult;
  /** Whether it was to fail (`--expect`), and did not. */
  readonly isUnexpected: boolean;
  readonly metrics: readonly Metric[];
  /** What was said, secrets as stars; empty unless it was kept. */
  readonly conversation: readonly Spoken[];
}

/** Whether a verdict is that on one test, not on several or on none. */
export const isTest = (verdict: Verdict): verdict is TestVerdict => 'result' in verdict;

/** Every verdict on a test in a tree, in its order. */
export function testsIn(verdict: Verdict): readonly TestVerdict[] {
  if (isTest(verdict)) return [verdict];
  return ([] as TestVerdict[]).concat(...verdict.parts.map((part) => testsIn(part)));
}

/** By what a result is judged. */
export interface Policy {
  readonly warning: Thresholds;
  readonly critical: Thresholds;
  /** Whether a certificate about to expire counts though no threshold was set for it. */
  readonly certificateDefaults: boolean;
  /** States the user gave to reasons, as failures and as warnings alike. */
  readonly severity: ReadonlyMap<Reason, State>;
  /** The reason the test is to fail with: then that is OK, and a logon that works is CRITICAL. */
  readonly expect: Reason | null;
  /** What is to be said whatever the verdict; it changes no state. */
  readonly remarks: readonly string[];
}

/**
 * Takes the verdict on a result: once, for every platform.
 *
 * @param conversation what was said, if it was kept
 */
export function judge(result: ProbeResult, policy: Policy, conversation: readonly Spoken[] = []): TestVerdict {
  const metrics = measure(result).map((measured): Metric => {
    const usual =
      measured.name === 'certificate' && result.tls !== null && wantsDefaults(result, policy)
        ? certificateDefaults(result.tls.lifetimeDays)
        : { warning: null, critical: null };
    return {
      ...measured,
      warning: policy.warning.get(measured.name) ?? usual.warning,
      critical: policy.critical.get(measured.name) ?? usual.critical,
    };
  });
  const outcome = judgeOutcome(result, policy);
  // How long it took not to measure anything is no measure of the mail server, whatever that counts as.
  const measured = isMeasured(result) ? metrics : [];
  const parts = [
    outcome,
    ...result.warnings.map((warning) => leaf(policy.severity.get(warning.reason) ?? 'warning', warning)),
    ...measured.map((metric) => judgeMetric(metric, testOf(result))),
    ...policy.remarks.map((text) => remark('ok', text)),
  ].filter((part): part is Verdict => part !== null);
  return {
    state: worst(parts.map(({ state }) => state)),
    text: result.casServer,
    summary: summarise(result, policy, metrics),
    parts,
    result,
    isUnexpected: result.error === null && policy.expect !== null,
    metrics: measured,
    conversation,
  };
}

/**
 * Whether a certificate's days are judged though nobody asked: not where one bound was set, which says all, nor where
 * the days are over, which is a reason of its own and may be expected or excused.
 */
function wantsDefaults(
  { error, warnings }: ProbeResult,
  { certificateDefaults: wanted, warning, critical }: Policy,
): boolean {
  const isExpired = [error, ...warnings].some((problem) => problem?.reason === 'certificate-expired');
  return wanted && !warning.has('certificate') && !critical.has('certificate') && !isExpired;
}

const isMeasured = ({ error, result }: ProbeResult): boolean =>
  result !== 'Skipped' && (error === null || stateOfFailure(error.reason, error.phase) !== 'unknown');

/** How the test ended, against how it was to end. An ending that is to count as good has nothing against it. */
function judgeOutcome({ error, result }: ProbeResult, { severity, expect }: Policy): Verdict | null {
  if (result === 'Skipped') {
    // Nothing was measured, whatever the reason; but what is to be done soon is known all the same.
    const state = error.reason === 'password-due' ? (severity.get(error.reason) ?? 'warning') : 'unknown';
    return { state, text: `skipped: ${describeProblem(error)}`, parts: [] };
  }
  if (error === null) {
    return expect === null
      ? null
      : { state: 'critical', text: `${expect} was expected, but the logon works`, parts: [] };
  }
  const state =
    error.reason === expect ? 'ok' : (severity.get(error.reason) ?? stateOfFailure(error.reason, error.phase));
  return state === 'ok' ? null : leaf(state, error);
}

/** What a good outcome is summed up by: of LightMode, of the full test. */
const SUMMED_UP: Readonly<Record<TestName, readonly MetricName[]>> = {
  logon: ['time', 'time_login', 'messages', 'certificate'],
  'round trip': ['time', 'time_login', 'delivery'],
  'new password': ['time'],
  'new account': ['time'],
};

/** What was done, as people call it. */
type TestName = 'logon' | 'round trip' | 'new password' | 'new account';

function testOf({ scenario, roundTrip }: ProbeResult): TestName {
  if (scenario === 'Reset Credentials') return 'new password';
  if (scenario === 'New Test User') return 'new account';
  return roundTrip === null ? 'logon' : 'round trip';
}

/** The time of the whole goes by the name of what was done. */
const describe = (metric: Metric, test: TestName): string => describeValue(metric).replace(/^time /, `${test} `);

/** The headline of an outcome that is as it should be. */
function summarise(result: ProbeResult, { expect }: Policy, metrics: readonly Metric[]): string {
  const { error, roundTrip } = result;
  if (error !== null) {
    const why = error.reason === expect ? 'as expected' : 'counts as ok';
    return `${error.reason} ${why}${error.message === '' ? '' : `, ${error.message}`}`;
  }
  const told = SUMMED_UP[testOf(result)]
    .map((name) => metrics.find((metric) => metric.name === name))
    .filter((metric): metric is Metric => metric !== undefined);
  const words = told.map((metric) => describe(metric, testOf(result)));
  return [...words, ...(roundTrip === null ? [] : sayOf(roundTrip))].join(', ');
}

/** What else there is to say of a message that is well. */
function sayOf({ isEstimate, retrieved, sendMs, staleRemoved }: RoundTrip): readonly string[] {
  const removed = `${staleRemoved} ${staleRemoved === 1 ? 'message' : 'messages'} of earlier runs removed`;
  return [
    ...(isEstimate ? ["by the mail servers' clocks"] : []),
    ...(retrieved || sendMs === null ? [] : ['a message is under way to the next run']),
    ...(staleRemoved === 0 ? [] : [removed]),
  ];
}

/** A clause that stands for itself. */
export const remark = (state: State, text: string): Verdict => ({ state, text, parts: [] });

/** Several verdicts as one, the worst of them. */
export const gather = (text: string, parts: readonly Verdict[]): Verdict => ({
  state: worst(parts.map(({ state }) => state)),
  text,
  parts,
});

/** The verdict on a run that never began: a command line we do not understand, an interrupted start. */
export const refuse = (problem: Problem): Verdict => {
  const part = leaf(stateOfFailure(problem.reason, problem.phase), problem);
  return { state: part.state, text: '', parts: [part] };
};

const leaf = (state: State, problem: Problem): Verdict => ({ state, text: describeProblem(problem), parts: [] });

/** Critical before warning; within bounds it says nothing. */
function judgeMetric(metric: Metric, test: TestName): Verdict | null {
  for (const state of ['critical', 'warning'] as const) {
    const range = metric[state];
    if (range !== null && alerts(range, metric.value)) {
      return { state, text: `${describe(metric, test)} (${state} ${describeAlert(range, metric.value)})`, parts: [] };
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
  'send-refused': 'send',
  'send-deferred': 'send',
  'send-unconfirmed': 'send',
  'not-delivered': 'delivery',
  'delivery-delayed': 'delivery',
  bounced: 'delivery',
  altered: 'retrieve',
  duplicate: 'delivery',
  'not-deleted': 'delete',
};

/** `timed-out in greeting, no greeting within 10 s - check …` */
export function describeProblem({ reason, phase, message, hint }: Problem): string {
  const where = phase === null || HOME[reason] === phase ? '' : ` in ${phase}`;
  return `${reason}${where}${message === '' ? '' : `, ${message}`} - ${hint}`;
}
