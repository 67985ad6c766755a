import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import type { Phase } from '../../src/dialogue/dialogue.ts';
import type { PhaseTime, ProbeResult, Problem } from '../../src/probe/result.ts';
import type { Tags } from '../../src/runtimes/k6/transport.ts';

/** The phases of a logon, each with a Trend `pop3_<phase>_duration`. */
export const PHASES = [
  'dns',
  'connect',
  'tls',
  'greeting',
  'capabilities',
  'stls',
  'login',
  'mailbox',
  'quit',
] as const satisfies readonly Phase[];

// k6 takes metrics in the init context alone: a script that imports this has them. Tags are the caller's, and those
// named below: never a user, and no host that nobody asked for.
const success = new Rate('pop3_session_success');
const session = new Trend('pop3_session_duration', true);
const command = new Trend('pop3_command_duration', true);
const errors = new Counter('pop3_errors');
const daysLeft = new Gauge('pop3_certificate_days_left');
const messages = new Gauge('pop3_mailbox_messages');
const octets = new Gauge('pop3_mailbox_octets');
const phases: Readonly<Record<string, Trend>> = PHASES.reduce<Record<string, Trend>>((trends, phase) => {
  trends[phase] = new Trend(`pop3_${phase}_duration`, true);
  return trends;
}, {});

/**
 * Hands the result of a probe to k6.
 *
 * @param isGood what `pop3_session_success` is told
 */
export function recordProbe(result: ProbeResult, isGood: boolean, tags: Tags): void {
  recordPhases(result.phases, tags);
  if (result.error !== null) recordError(result.error, tags);
  if (result.tls !== null) daysLeft.add(result.tls.daysLeft, tags);
  if (result.mailbox !== null) recordMailbox(result.mailbox, tags);
  recordSession(isGood, result.latencyMs, tags);
}

export function recordSession(isGood: boolean, ms: number, tags: Tags): void {
  success.add(isGood, tags);
  session.add(ms, tags);
}

export function recordPhases(times: readonly PhaseTime[], tags: Tags): void {
  for (const { name, ms } of times) phases[name]?.add(ms, tags);
}

export function recordCommand(keyword: string, ms: number, tags: Tags): void {
  command.add(ms, { ...tags, command: keyword });
}

export function recordError({ reason, phase }: Pick<Problem, 'reason' | 'phase'>, tags: Tags): void {
  errors.add(1, { ...tags, reason, phase: phase ?? 'none' });
}

export function recordCertificate(days: number, tags: Tags): void {
  daysLeft.add(days, tags);
}

export function recordMailbox(size: { readonly messages: number; readonly octets: number }, tags: Tags): void {
  messages.add(size.messages, tags);
  octets.add(size.octets, tags);
}
