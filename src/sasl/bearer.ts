import { text } from '../dialogue/bytes.ts';
import type { Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { BearerCredential, Exchange } from './mechanism.ts';

/** What parts the fields of XOAUTH2 and OAUTHBEARER. */
export const SEPARATOR = '\u0001';

/** The field with the token, and the end of the message. */
export function tokenField({ userName, token }: BearerCredential): string {
  // RFC 6750 §2.1 has fewer characters still; anything else could begin another field, or end the message.
  if (!/^[\x21-\x7e]+$/.test(token.reveal()))
    throw new ProbeFailure('configuration', 'the token has characters that no token has (RFC 6750 §2.1)');
  if (userName.includes(SEPARATOR))
    throw new ProbeFailure('configuration', 'the user name has the character that parts the fields of a logon');
  return `auth=Bearer ${token.reveal()}${SEPARATOR}${SEPARATOR}`;
}

/**
 * Presents a token. A server that refuses it first tells why, in JSON, as one more challenge (RFC 7628 §3.2.2), and
 * says -ERR when that was answered.
 *
 * @param answer to that challenge
 */
export function* present(exchange: Exchange, message: Uint8Array, answer: Uint8Array): Dialogue<void> {
  const why = yield* exchange.respond(message);
  if (why === null) return;
  let more: Uint8Array | null;
  try {
    more = yield* exchange.respond(answer);
  } catch (problem) {
    if (!(problem instanceof ProbeFailure) || problem.said === null) throw problem;
    throw new ProbeFailure(problem.reason, problem.message, { said: problem.said + statusIn(text(why)) });
  }
  const odd = new ProbeFailure('protocol-violation', 'neither +OK nor -ERR to a token', { said: text(why) });
  if (more !== null) return yield* exchange.cancel(odd);
  throw new ProbeFailure('protocol-violation', 'the server accepted a token it had refused', { said: text(why) });
}

/** Out of the JSON the one field everybody has: `invalid_token`, `401`. */
function statusIn(why: string): string {
  const [, status] = /"status"\s*:\s*"([^"]{1,60})"/.exec(why) ?? [];
  return status === undefined ? '' : ` (status ${status})`;
}
