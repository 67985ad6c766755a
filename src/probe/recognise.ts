import type { Dialogue, Phase } from '../dialogue/dialogue.ts';
import { type Marker, type Seal, verified } from './marker.ts';
import { addressIn, type Header, MARKER_HEADER, SUBJECT_START } from './message.ts';

/** Who looks for messages of his own. */
export interface Sender {
  readonly seal: Seal;
  /** The address they are from. */
  readonly from: string;
}

/** A message that was proved to be one of ours. */
export interface Recognised {
  readonly marker: Marker;
  /** The marker as the message has it. */
  readonly spelt: string;
}

/**
 * Whether a message is one of ours, by its header. A signature alone does not prove it: whoever saw one of our
 * messages can copy its marker, and replies and reports quote it. So the marker must be signed, the message must
 * answer none (RFC 5322 §3.6.4), and it must bear our own Message-ID – or, where a mail system wrote it anew (Exchange
 * does, when asked by Graph), our field, our sender, and a date within the time it was signed for.
 *
 * @returns null for somebody else's
 */
export function* recognised(header: Header, { seal, from }: Sender, phase: Phase): Dialogue<Recognised | null> {
  if (header.has('in-reply-to') || header.has('references')) return null;
  if (/^multipart\/report/i.test(header.only('content-type') ?? '')) return null;
  const spelt = speltIn(header);
  const marker = spelt === null ? null : yield* verified(spelt, seal, phase);
  if (spelt === null || marker === null) return null;
  const hasOurId = (header.only('message-id') ?? '').startsWith(`<${marker.run}@`);
  return hasOurId || isRewritten(header, marker, from) ? { marker, spelt } : null;
}

/** Clocks differ: a mail system's may be somewhat behind ours. */
const SKEW_S = 300;

function isRewritten(header: Header, { sentAt, expiresAt }: Marker, from: string): boolean {
  const date = Date.parse(header.only('date') ?? '') / 1000;
  return (
    header.has(MARKER_HEADER.toLowerCase()) &&
    addressIn(header.only('from') ?? '') === from.toLowerCase() &&
    date >= sentAt - SKEW_S &&
    date <= expiresAt
  );
}

/** What stands where the marker should: in our field, else in a subject of ours. Two that differ are none. */
function speltIn(header: Header): string | null {
  const inField = header.only(MARKER_HEADER.toLowerCase());
  const subject = header.only('subject') ?? '';
  const at = subject.indexOf(SUBJECT_START);
  const inSubject = at < 0 ? null : (/^[0-9a-z-]*/.exec(subject.slice(at + SUBJECT_START.length))?.[0] ?? null);
  if (inField === null || inSubject === null)
    return header.all(MARKER_HEADER.toLowerCase()).length > 1 ? null : (inField ?? inSubject);
  return inField === inSubject ? inField : null;
}
