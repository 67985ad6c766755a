import { base64, utf8 } from '../dialogue/bytes.ts';
import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import type { HttpTerms, SendCredential, Sending, Sent } from '../probe/world.ts';
import { type HttpAnswer, post } from '../runtimes/node/http.ts';
import { blamed } from './blame.ts';

/** A message on its way by one HTTPS request. */
export interface Submission {
  readonly url: string;
  /** Those beside the ones every submission has. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly http: HttpTerms;
  readonly credential: SendCredential;
  /** What the answer says became of the message; throws a ProbeFailure where it was not taken. */
  readonly judge: (answer: HttpAnswer) => Sent;
}

/** Submits a message. Every failure is of the phase `send`; what the port promises stands at `Send`. */
export function submit({ url, headers, body, http: terms, credential, judge }: Submission): Sending {
  const posting = post({
    url,
    headers: { ...headers, Authorization: authorization(credential), 'User-Agent': 'pop-connectivity' },
    body,
    terms,
  });
  const done = posting.done.catch((problem: unknown) => {
    throw posting.wasSent() ? unconfirmed(problem) : problem;
  });
  return { done: blamed(done.then(judge)), abandon: posting.abandon };
}

/** A submission that fails before it begins. */
export const refuse = (failure: ProbeFailure): Sending => ({
  done: blamed(Promise.reject(failure)),
  abandon: () => undefined,
});

/** RFC 7617 §2.1, in UTF-8 as Exchange reads it; RFC 6750 §2.1. */
function authorization(credential: SendCredential): string {
  return credential.kind === 'bearer'
    ? `Bearer ${credential.token.reveal()}`
    : `Basic ${base64(utf8(`${credential.userName}:${credential.password.reveal()}`))}`;
}

/** How a connection is lost. Other failures after the last octet were answers, if bad ones. */
const LOST: readonly Reason[] = ['hung-up', 'timed-out', 'unreachable'];

/** The failure of a request that had gone out: the message may have been taken, and must not be sent twice. */
function unconfirmed(problem: unknown): unknown {
  return problem instanceof ProbeFailure && LOST.includes(problem.reason)
    ? new ProbeFailure('send-unconfirmed', `${problem.message}; the message had gone out, and no whole answer came`)
    : problem;
}
