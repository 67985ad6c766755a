import type { Phase } from '../dialogue/dialogue.ts';
import type { Reason } from '../dialogue/failure.ts';

/** The four states every platform can express, the best first: the worst of several wins. */
export const STATES = ['ok', 'warning', 'unknown', 'critical'] as const;
export type State = (typeof STATES)[number];

/** A user of the mail service is hurt: critical. Degraded, or soon: warning. The probe could not measure: unknown. */
const SEVERITY: Readonly<Record<Reason, State>> = {
  'dns-not-found': 'critical',
  'connection-refused': 'critical',
  unreachable: 'critical',
  'timed-out': 'critical',
  'hung-up': 'critical',
  'not-pop3': 'critical',
  'protocol-violation': 'critical',
  'line-too-long': 'critical',
  'stls-not-offered': 'critical',
  'stls-refused': 'critical',
  'plaintext-after-stls': 'critical',
  'tls-failed': 'critical',
  'certificate-expired': 'critical',
  'certificate-not-yet-valid': 'critical',
  'certificate-wrong-host': 'critical',
  'certificate-untrusted': 'critical',
  'certificate-revoked': 'critical',
  'certificate-weak': 'critical',
  'login-refused': 'critical',
  'mechanism-not-offered': 'critical',
  'server-not-authenticated': 'critical',
  'server-permanent': 'critical', // RFC 3206 §4: needs a human
  'server-temporary': 'critical', // users cannot get at their mail meanwhile
  'mailbox-full': 'critical',
  'send-refused': 'critical',
  'not-delivered': 'critical',
  bounced: 'critical',
  'mailbox-in-use': 'warning', // RFC 2449 §8.1.2: another session holds it, the server is fine
  'login-delay': 'warning', // RFC 2449 §8.1.1: we came too soon, the server is fine
  'send-deferred': 'warning',
  'delivery-delayed': 'warning',
  'send-unconfirmed': 'warning',
  altered: 'warning',
  duplicate: 'warning',
  'not-deleted': 'warning',
  'password-due': 'warning',
  usage: 'unknown',
  configuration: 'unknown',
  'dns-unavailable': 'unknown',
  'directory-unreachable': 'unknown',
  'directory-refused': 'unknown',
  'test-account-missing': 'unknown',
  'token-refused': 'unknown',
  'token-unavailable': 'unknown',
  'proxy-failed': 'unknown',
  'local-resources': 'unknown',
  interrupted: 'unknown',
  'already-running': 'unknown',
  'internal-error': 'unknown',
};

/** Every reason there is. */
export const REASONS = Object.keys(SEVERITY) as readonly Reason[];

/** Phases before the mail service is even spoken to: whatever fails there says nothing about it. */
const BEFORE_THE_SERVICE: readonly (Phase | null)[] = ['directory', 'token', 'proxy'];

/** The state a failed test is in. */
export function stateOfFailure(reason: Reason, phase: Phase | null): State {
  return BEFORE_THE_SERVICE.includes(phase) ? 'unknown' : SEVERITY[reason];
}

/** The worst of some states; none at all is ok. */
export function worst(states: readonly State[]): State {
  return STATES[Math.max(0, ...states.map((state) => STATES.indexOf(state)))] as State;
}

/** The same things with the worst first; those of one state stay in their order. */
export function worstFirst<T extends { readonly state: State }>(things: readonly T[]): readonly T[] {
  return STATES.slice()
    .reverse()
    .reduce<readonly T[]>((sorted, state) => sorted.concat(things.filter((thing) => thing.state === state)), []);
}
