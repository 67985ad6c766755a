import type { Phase } from './dialogue.ts';

/** Everything that can be wrong, in the words that appear in every output. docs/reasons.md has a paragraph on each. */
export type Reason =
  // The service is down or unsafe for its users.
  | 'dns-not-found'
  | 'connection-refused'
  | 'unreachable'
  | 'timed-out'
  | 'hung-up'
  | 'not-pop3'
  | 'protocol-violation'
  | 'line-too-long'
  | 'stls-not-offered'
  | 'stls-refused'
  | 'plaintext-after-stls'
  | 'tls-failed'
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-wrong-host'
  | 'certificate-untrusted'
  | 'certificate-revoked'
  | 'certificate-weak'
  | 'login-refused'
  | 'mechanism-not-offered'
  | 'server-not-authenticated'
  | 'server-permanent'
  | 'server-temporary'
  | 'mailbox-full'
  | 'send-refused'
  | 'not-delivered'
  | 'bounced'
  // It works, but not well, or not for long.
  | 'mailbox-in-use'
  | 'login-delay'
  | 'send-deferred'
  | 'delivery-delayed'
  | 'send-unconfirmed'
  | 'altered'
  | 'duplicate'
  | 'not-deleted'
  | 'password-due'
  // The probe could not measure.
  | 'usage'
  | 'configuration'
  | 'dns-unavailable'
  | 'directory-unreachable'
  | 'directory-refused'
  | 'test-account-missing'
  | 'token-refused'
  | 'token-unavailable'
  | 'proxy-failed'
  | 'local-resources'
  | 'interrupted'
  | 'already-running'
  | 'internal-error';

/** A command line, or another request, that we do not understand. */
export const usage = (message: string): ProbeFailure => new ProbeFailure('usage', message);

/**
 * The one failure a probe can end with. A bug (TypeError …) is not one: it reaches the command's exit door and ends
 * as `internal-error`.
 */
export class ProbeFailure extends Error {
  readonly reason: Reason;
  /** The phase to blame; filled in by the conversation or the driver where the thrower does not know it. */
  phase: Phase | null;
  /** The server's own words, as they came: masked, escaped and shortened only where they are shown. */
  readonly said: string | null;
  /** How long the server wants to be left alone, where it says so. */
  readonly retryAfterMs: number | null;

  /**
   * @param reason what is wrong, in the fixed vocabulary
   * @param message one clause for people, without the server's words ('' where those say it all)
   * @param more the server's words, the phase and when to come back, where known
   */
  constructor(reason: Reason, message: string, more: { said?: string; phase?: Phase; retryAfterMs?: number } = {}) {
    super(message);
    this.name = 'ProbeFailure';
    this.reason = reason;
    this.said = more.said ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.phase = more.phase ?? null;
  }
}

/** What was thrown, as a failure. A bug says its name and place, without what it may hold of a secret. */
export const asFailure = (problem: unknown): ProbeFailure =>
  problem instanceof ProbeFailure
    ? problem
    : new ProbeFailure('internal-error', problem instanceof Error ? crash(problem) : 'no error');

const crash = ({ name, stack = '' }: Error): string =>
  `${name} ${(/\n\s*(at [^\n]*)/.exec(stack) || [])[1] || ''}`.trim();
