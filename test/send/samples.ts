import { utf8 } from '../../src/dialogue/bytes.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import { composed } from '../../src/probe/message.ts';
import type { OutgoingMessage, SendCredential, Sending } from '../../src/probe/world.ts';

export const MARKER = '0123456789abcdef-tl0000-tl1000-0123456789abcdef0123456789abcdef';

/** The message of a full test. */
export const MESSAGE: OutgoingMessage = {
  from: 'probe+pop@example.com',
  to: 'inbox@example.com',
  octets: composed({
    marker: MARKER,
    run: MARKER.slice(0, 16),
    from: 'probe+pop@example.com',
    to: 'inbox@example.com',
    sentAt: new Date('2026-01-02T03:04:05Z'),
  }),
};

/** One whose subject is folded, as RFC 5322 §2.2.3 allows. */
export const FOLDED: OutgoingMessage = {
  ...MESSAGE,
  octets: utf8(
    'From: <a@example.com>\r\nSubject: one\r\n two\r\nX-One: 1\r\n\t2\r\nAuto-Submitted: no\r\n\r\n.\r\n\r\nend\r\n',
  ),
};

export const TOKEN = 'obviously.fake-token';
export const PASSWORD = 'pass:wörd, obviously fake';

export const BEARER: SendCredential = { kind: 'bearer', userName: MESSAGE.from, token: new Secret(TOKEN) };
export const BASIC: SendCredential = { kind: 'password', userName: MESSAGE.from, password: new Secret(PASSWORD) };

/** The failure a sending ends in; no success, and no bug either. */
export async function failureOf({ done }: Sending): Promise<ProbeFailure> {
  const outcome = await done.then(
    ({ said }) => `sent: ${said}`,
    (problem: unknown) => problem,
  );
  if (!(outcome instanceof ProbeFailure)) throw new Error(`no ProbeFailure but ${String(outcome)}`);
  return outcome;
}

/** What a failure tells anybody. */
export const told = ({ message, said, stack }: ProbeFailure): string => [message, said, stack].join('\n');

/** A date of HTTP so many seconds from another. */
export const httpDate = (seconds: number, from = Date.now()): string => new Date(from + seconds * 1000).toUTCString();
