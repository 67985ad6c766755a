import { text, utf8 } from '../dialogue/bytes.ts';
import type { Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { type Line, line } from './line.ts';
import { accept, type Reply } from './reply.ts';
import type { LineSink, Wire } from './wire.ts';

/**
 * The commands of the TRANSACTION state (RFC 1939 §5 and §7), one function each. STAT, LIST, NOOP and RSET know no
 * `-ERR` there; a server that gives one without a code cannot open the mailbox, and only its log tells why.
 */

/** How much a mailbox holds. */
export interface MailboxSize {
  readonly messages: number;
  readonly octets: number;
}

/** One line of LIST: octets are the server's estimate, never to be used for framing. */
export interface Listed {
  readonly message: number;
  readonly octets: number;
}

/** One line of UIDL. The identifier is foreign text. */
export interface Identified {
  readonly message: number;
  readonly uid: string;
}

/** Takes the entries of a listing as they come: a mailbox of 50,000 messages is not held in memory. */
export type Each<T> = (entry: T) => void;

/** Fifty thousand messages make 3 MB of UIDL; a server that goes on beyond this will not end. */
const LONGEST_LISTING = 256 * 1024 * 1024;

export function* stat(wire: Wire): Dialogue<MailboxSize> {
  const reply = accept(yield* wire.ask(line`STAT`), 'server-permanent');
  const [messages, octets] = numbers(reply.text, reply.said, 'STAT', 2);
  const size = { messages: messages as number, octets: octets as number };
  yield { want: 'note', phase: 'mailbox', note: { learnt: 'mailbox', ...size } };
  return size;
}

export function* noop(wire: Wire): Dialogue<void> {
  accept(yield* wire.ask(line`NOOP`), 'server-permanent');
}

/** The size of one message, or null where there is none of that number. */
export function* listOne(wire: Wire, message: number): Dialogue<Listed | null> {
  const reply = yield* wire.ask(line`LIST ${message}`);
  return reply.ok ? parseListed(reply.text, reply.said) : null;
}

export function* list(wire: Wire, each: Each<Listed>): Dialogue<void> {
  accept(yield* wire.ask(line`LIST`), 'server-permanent');
  yield* wire.body(LONGEST_LISTING, parsing(listedIn, each));
}

/** The unique identifier of one message, or null where there is none, or no UIDL. */
export function* uidlOne(wire: Wire, message: number): Dialogue<Identified | null> {
  const reply = yield* wire.ask(line`UIDL ${message}`);
  return reply.ok ? identifiedIn(utf8(reply.text)) : null;
}

/** @returns whether the server knows UIDL, which is optional (RFC 1939 §7) */
export function* uidl(wire: Wire, each: Each<Identified>): Dialogue<boolean> {
  const reply = yield* wire.ask(line`UIDL`);
  if (reply.ok) yield* wire.body(LONGEST_LISTING, parsing(identifiedIn, each));
  return reply.ok;
}

/** Headers, and the first lines of the body. Null where there is no such message, or no TOP. */
export function* top(wire: Wire, message: number, lines: number, limit: number): Dialogue<Uint8Array[] | null> {
  return yield* fetch(wire, line`TOP ${message} ${lines}`, limit);
}

/**
 * A whole message, its lines without line ends, dots un-stuffed. Null where there is no such message. On "download
 * once" sites RETR is what deletes: never ask for a message that is not ours.
 *
 * @param limit octets beyond which the server is taken for one that never ends
 */
export function* retr(wire: Wire, message: number, limit: number): Dialogue<Uint8Array[] | null> {
  return yield* fetch(wire, line`RETR ${message}`, limit);
}

/** Marks a message; it is gone only after a QUIT in peace, and with some servers not even then. */
export function* dele(wire: Wire, message: number): Dialogue<Reply> {
  return yield* wire.ask(line`DELE ${message}`);
}

export function* rset(wire: Wire): Dialogue<void> {
  accept(yield* wire.ask(line`RSET`), 'server-permanent');
}

function* fetch(wire: Wire, command: Line, limit: number): Dialogue<Uint8Array[] | null> {
  const reply = yield* wire.ask(command);
  if (!reply.ok) return null;
  const lines: Uint8Array[] = [];
  yield* wire.body(limit, lines);
  return lines;
}

/** A sink that parses each line and hands the entry on. */
const parsing = <T>(parse: (octets: Uint8Array) => T, each: Each<T>): LineSink => ({
  push: (octets) => each(parse(octets)),
});

const listedIn = (octets: Uint8Array): Listed => parseListed(text(octets), text(octets));

function parseListed(listed: string, said: string): Listed {
  const [message, octets] = numbers(listed, said, 'LIST', 2);
  return { message: message as number, octets: octets as number };
}

/** Longer ones than RFC 1939 §7 allows exist. */
const LONGEST_UID = 512;
const MOST_DIGITS = 10;

/** RFC 1939 §7: a number, one space, and characters from 0x21 to 0x7E, read as octets: there may be 50,000 of them. */
function identifiedIn(octets: Uint8Array): Identified {
  let message = 0;
  let at = 0;
  for (; at < octets.length && isDigit(octets[at] as number); at++)
    message = message * 10 + (octets[at] as number) - 0x30;
  const uid = octets.subarray(at + 1);
  const isUid = uid.length > 0 && uid.length <= LONGEST_UID && uid.every(isVisible);
  if (at === 0 || at > MOST_DIGITS || octets[at] !== SPACE || !isUid) {
    throw new ProbeFailure('protocol-violation', 'not a line of UIDL', { said: text(octets) });
  }
  return { message, uid: String.fromCharCode.apply(null, uid as unknown as number[]) };
}

const SPACE = 0x20;
const isDigit = (octet: number): boolean => octet >= 0x30 && octet <= 0x39;
const isVisible = (octet: number): boolean => octet > SPACE && octet < 0x7f;

/** Decimal numbers up to 2^53 at the start of a line; what follows them is free (RFC 1939 §5). */
function numbers(from: string, said: string, command: string, count: number): number[] {
  const words = from.split(' ').slice(0, count);
  const parsed = words.map((word) => (/^\d{1,16}$/.test(word) ? Number(word) : Number.NaN));
  if (words.length === count && parsed.every(Number.isSafeInteger)) return parsed;
  throw new ProbeFailure('protocol-violation', `no numbers in the answer to ${command}`, { said });
}
