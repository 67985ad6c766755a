import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import type { HttpAnswer } from '../runtimes/node/http.ts';
import { LONGEST_WAIT_MS, retryAfter } from '../runtimes/node/retry-after.ts';

/** What became of a message that was not taken: the reason, and a clause for people. */
export type Meaning = readonly [Reason, string];

/** What a service says about itself where it refuses. */
export interface Complaint {
  /** `ErrorAccessDenied`, or '' where it names none. */
  readonly code: string;
  readonly message: string;
  /** How long it wants to be left alone, in milliseconds, as it says it. */
  readonly backOff?: string | undefined;
}

/** What the same status means to the administrators of different services. */
export type Wording = Readonly<Record<200 | 401 | 403 | 404, string>>;

/** The failure of a message that was answered for and not taken. */
export function refusal([reason, message]: Meaning, answer: HttpAnswer, complaint: Complaint | null): ProbeFailure {
  const wait = reason === 'send-deferred' ? (backOff(complaint?.backOff) ?? retryAfter(answer)) : null;
  return new ProbeFailure(reason, message, {
    said: wordsOf(answer, complaint),
    phase: 'send',
    ...(wait === null ? {} : { retryAfterMs: wait }),
  });
}

/** What Exchange's own codes mean, in EWS and in Graph alike; null for those that leave it to the status. */
export const meaningOfCode = (code: string, wording: Wording): Meaning | null =>
  FORBIDDEN.includes(code) ? ['send-refused', wording[403]] : (CODES.get(code) ?? null);

const FORBIDDEN: readonly string[] = ['ErrorAccessDenied', 'ErrorImpersonateUserDenied', 'ErrorImpersonationDenied'];

const BUSY: Meaning = ['send-deferred', 'Exchange is too busy, or was asked too often'];
const PASSING: Meaning = ['send-deferred', 'a part of Exchange is not available'];

/** https://learn.microsoft.com/exchange/client-developer/web-service-reference/responsecode */
const CODES: ReadonlyMap<string, Meaning> = new Map(
  Object.entries<Meaning>({
    ErrorServerBusy: BUSY,
    ErrorTooManyObjectsOpened: BUSY,
    ErrorExceededConnectionCount: BUSY,
    ErrorInsufficientResources: BUSY,
    ErrorSubmissionQuotaExceeded: ['send-deferred', 'the account has sent too much of late'],
    ErrorMailboxStoreUnavailable: PASSING,
    ErrorMailboxMoveInProgress: PASSING,
    ErrorConnectionFailed: PASSING,
    ErrorADUnavailable: PASSING,
    ErrorInternalServerError: PASSING,
    ErrorInternalServerTransientError: PASSING,
    ErrorTimeoutExpired: [
      'send-unconfirmed',
      'Exchange ran out of time, which does not tell whether it took the message',
    ],
    ErrorQuotaExceeded: ['mailbox-full', 'the mailbox is over its quota'],
    ErrorMessageSizeExceeded: ['send-refused', 'the message is too large for the server'],
    ErrorSendAsDenied: ['send-refused', 'the account may not send as this sender'],
  }),
);

/** What a status means that is not the one of success (RFC 9110 §15). */
export function meaningOfStatus(status: number, wording: Wording): Meaning {
  if (status === 401 || status === 403 || status === 404) return ['send-refused', wording[status]];
  const exact = STATUSES[status];
  if (exact !== undefined) return exact;
  switch (Math.floor(status / 100)) {
    case 2:
      return ['send-refused', wording[200]];
    case 3:
      return ['send-refused', 'the server points elsewhere, and redirects are not followed'];
    case 5:
      return ['send-deferred', 'the server failed'];
    default:
      return ['send-refused', 'the request was refused'];
  }
}

const STATUSES: Readonly<Record<number, Meaning>> = {
  413: ['send-refused', 'the message is too large for the server'],
  429: ['send-deferred', 'the server was asked too often'],
  503: ['send-deferred', 'the server is too busy, or not available'],
  504: ['send-deferred', 'the server behind the server did not answer in time'],
  507: ['mailbox-full', 'the mailbox is over its quota'], // RFC 4918 §11.5
};

/** EWS's BackOffMilliseconds. */
const backOff = (written: string | undefined): number | null =>
  written !== undefined && /^\d+$/.test(written) ? Math.min(Number(written), LONGEST_WAIT_MS) : null;

/** What is kept of a server's words; where they are shown they are cut again. */
const LONGEST_WORDS = 1000;

/** The server's words: what it complains of, or the header that tells most. */
function wordsOf({ status, headers }: HttpAnswer, complaint: Complaint | null): string {
  const explaining = headers.location ?? headers['www-authenticate']?.toString() ?? headers['content-type'] ?? '';
  const words = complaint === null ? [explaining] : [complaint.code, complaint.message];
  const told = words.filter((word) => word !== '').join(': ');
  return `HTTP ${status} ${told}`.replace(/\s+/g, ' ').trim().slice(0, LONGEST_WORDS);
}
