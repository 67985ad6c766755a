import { join, text } from '../dialogue/bytes.ts';
import {
  type Address,
  type Connected,
  type Destination,
  type Dialogue,
  type Entered,
  type Phase,
  type Secured,
  Slot,
} from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Line } from './line.ts';
import { meaningOf, parseReply, type Reply } from './reply.ts';

/** RFC 2449 §4 has 512 octets; real servers go beyond, an attacker goes on for ever. */
const LONGEST_STATUS_LINE = 8 * 1024;

/** Lines of messages have no limit in POP3 and real ones pass 5,000 octets; this one only bounds our memory. */
const LONGEST_BODY_LINE = 512 * 1024;

/** What takes the lines of a body as they come. An array is one. */
export interface LineSink {
  push(octets: Uint8Array): unknown;
}

/** One connection's lines: what is sent, what is still unread, and the phase that waits and blame are booked on. */
export class Wire {
  private phase: Phase = 'dns';
  private unread: Uint8Array = new Uint8Array(0);
  /** The command being answered, for the words of a failure; null before the greeting. */
  private asked: string | null = null;
  /** Whether the last status line ended in LF alone: then, and only then, may the lines of its listing. */
  private bareLf = false;
  private bareLfNoted = false;
  private broken = false;

  /** Books a part of the conversation on a phase: its waits, and its failure unless that names a phase itself. */
  *during<T>(phase: Phase, part: Dialogue<T>): Dialogue<T> {
    const outer = this.phase;
    this.phase = phase;
    try {
      return yield* part;
    } catch (problem) {
      if (problem instanceof ProbeFailure) problem.phase = problem.phase ?? phase;
      throw problem;
    } finally {
      this.phase = outer;
    }
  }

  /** Tells what is wrong without ending the visit. */
  *remark(fault: ProbeFailure): Dialogue<void> {
    fault.phase = fault.phase ?? this.phase;
    this.broken = this.broken || fault.reason === 'protocol-violation';
    yield { want: 'note', phase: this.phase, note: { learnt: 'fault', fault } };
  }

  /** Whether the server broke the protocol in a way that was let pass: what it says of message numbers is in doubt. */
  get isInDoubt(): boolean {
    return this.broken;
  }

  *resolve(name: string): Dialogue<readonly Address[]> {
    const slot = new Slot<readonly Address[]>();
    yield { want: 'resolve', phase: this.phase, name, slot };
    return slot.take();
  }

  /** Goes to the proxy and is let in; where to, it is told by `connect`. */
  *reachProxy(): Dialogue<Entered> {
    const slot = new Slot<Entered>();
    yield { want: 'proxy', phase: this.phase, slot };
    return slot.take();
  }

  *connect(to: Destination, port: number): Dialogue<Connected> {
    const slot = new Slot<Connected>();
    yield { want: 'connect', phase: this.phase, to, port, slot };
    return slot.take();
  }

  /**
   * Starts TLS. Whatever was said before it is not to be trusted after it, least of all octets nobody has read yet:
   * an attacker put them there to be taken for an answer under TLS (CVE-2021-22947 and its kin).
   */
  *secure(): Dialogue<Secured> {
    if (this.unread.length > 0) {
      const more = `${this.unread.length} more octets in clear before TLS`;
      throw new ProbeFailure('plaintext-after-stls', `the server sent ${more}`, {
        said: text(this.unread),
        phase: 'stls',
      });
    }
    const slot = new Slot<Secured>();
    yield { want: 'secure', phase: this.phase, slot };
    return slot.take();
  }

  *ask(command: Line): Dialogue<Reply> {
    yield* this.send(command);
    return yield* this.reply();
  }

  *send(command: Line): Dialogue<void> {
    // More answers than questions: the next one could not be told from the last. A server that is going down may say
    // so unasked (Cyrus does), and its code is then the better reason.
    if (this.unread.length > 0) {
      const said = text(this.unread).replace(/\r?\n$/, '');
      const reply = parseReply(said);
      const reason = reply === null || reply.ok ? null : meaningOf(reply);
      throw new ProbeFailure(reason ?? 'protocol-violation', 'the server spoke before it was asked', { said });
    }
    this.asked = command.keyword;
    yield { want: 'write', phase: this.phase, octets: command.octets, shown: command.shown };
  }

  /** The next status line, parsed. */
  *reply(): Dialogue<Reply> {
    const said = yield* this.statusLine();
    const reply = parseReply(said);
    if (reply === null) throw new ProbeFailure('protocol-violation', `neither +OK nor -ERR to ${this.asked}`, { said });
    return reply;
  }

  /** The next line, taken for a status line or a challenge. */
  *statusLine(): Dialogue<string> {
    const octets = yield* this.take(LONGEST_STATUS_LINE, false);
    if (this.bareLf && !this.bareLfNoted) {
      this.bareLfNoted = true;
      yield* this.remark(new ProbeFailure('protocol-violation', 'lines end in LF alone (RFC 1939 §3 has CRLF)'));
    }
    return text(octets);
  }

  /**
   * The lines after a `+OK`, up to the one that is a dot alone, dots un-stuffed (RFC 1939 §3). Done on lines, never
   * on what happened to arrive together.
   *
   * @param limit octets of the whole body at which the server is taken for one that never ends
   * @param into where each line goes: an array, or something that keeps less
   */
  *body(limit: number, into: LineSink): Dialogue<void> {
    const strict = !this.bareLf;
    for (let total = 0; ; ) {
      // A generator for each of 50,000 lines would take longer than all the rest.
      const octets = this.next(LONGEST_BODY_LINE, strict, 0) ?? (yield* this.take(LONGEST_BODY_LINE, strict));
      if (octets[0] !== DOT) into.push(octets);
      else if (octets.length === 1) return;
      else into.push(octets.subarray(1));
      total += octets.length + 2;
      if (total > limit) {
        throw new ProbeFailure('protocol-violation', `the answer to ${this.asked} did not end within ${limit} octets`);
      }
    }
  }

  /** What has arrived and was not read: for telling a stranger by its first octets when it says no whole line. */
  peek(): string {
    return text(this.unread);
  }

  /** One line without its end. A strict line ends in CRLF; the other kind may end in LF alone. */
  private *take(longest: number, strict: boolean): Dialogue<Uint8Array> {
    for (let from = 0; ; ) {
      const octets = this.next(longest, strict, from);
      if (octets !== null) return octets;
      from = this.unread.length;
      const arrived = yield* this.read();
      if (arrived === null) {
        const instead = this.asked === null ? 'before its greeting was complete' : `instead of answering ${this.asked}`;
        throw new ProbeFailure('hung-up', `the server closed the connection ${instead}`);
      }
      this.unread = this.unread.length === 0 ? arrived : join(this.unread, arrived);
    }
  }

  /**
   * The next line, if all of it has arrived.
   *
   * @param from where to look for its end: what comes before was looked at
   */
  private next(longest: number, strict: boolean, from: number): Uint8Array | null {
    const end = lineEnd(this.unread, from, strict);
    if (end > longest || (end < 0 && this.unread.length > longest)) {
      const what = this.asked === null ? 'the greeting' : `the answer to ${this.asked}`;
      throw new ProbeFailure('line-too-long', `${what} has a line of over ${longest} octets`);
    }
    if (end < 0) return null;
    const withCr = end > 0 && this.unread[end - 1] === CR;
    const octets = this.unread.subarray(0, withCr ? end - 1 : end);
    this.unread = this.unread.subarray(end + 1);
    if (!strict) this.bareLf = !withCr;
    return octets;
  }

  private *read(): Dialogue<Uint8Array | null> {
    const slot = new Slot<Uint8Array | null>();
    yield { want: 'read', phase: this.phase, slot };
    return slot.take();
  }
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/** Where the LF of the first line stands, or -1. */
function lineEnd(octets: Uint8Array, from: number, strict: boolean): number {
  for (let at = octets.indexOf(LF, from); at >= 0; at = octets.indexOf(LF, at + 1)) {
    if (!strict || (at > 0 && octets[at - 1] === CR)) return at;
  }
  return -1;
}
