import type { Connected, Note, Phase, TlsFacts } from '../dialogue/dialogue.ts';
import type { ProbeFailure, Reason } from '../dialogue/failure.ts';
import type { Account } from './drive.ts';
import { printable } from './printable.ts';
import type { PhaseTime, Spoken } from './result.ts';

/** Everything that was learnt in the course of a run, over as many visits as it took. */
export class Course {
  /** What is said of the connection is said of the first visit: it is the one a user would make. */
  connected: Connected | null = null;
  tls: TlsFacts | null = null;
  readonly notes: Note[] = [];
  readonly conversation: Spoken[] = [];
  private readonly times = new Map<Phase, number>();
  private readonly now: () => number;
  private readonly began: number;
  private readonly trace: boolean;

  /** @param trace whether the conversation is kept */
  constructor(now: () => number, trace: boolean) {
    this.now = now;
    this.began = now();
    this.trace = trace;
  }

  get elapsedMs(): number {
    return this.now() - this.began;
  }

  get phases(): readonly PhaseTime[] {
    return Array.from(this.times, ([name, ms]) => ({ name, ms }));
  }

  /** The milliseconds booked on a phase, or null where it was not reached. */
  timeOf(phase: Phase): number | null {
    return this.times.get(phase) ?? null;
  }

  book(phase: Phase, ms: number): void {
    this.times.set(phase, (this.times.get(phase) ?? 0) + ms);
  }

  /**
   * Takes a visit into the course.
   *
   * @param startedMs when it began, since the run did
   * @param on which phase each of its phases is booked on
   */
  add(account: Account<unknown>, startedMs: number, on: (phase: Phase) => Phase): void {
    this.connected = this.connected ?? account.connected;
    this.tls = this.tls ?? account.tls;
    for (const { name, ms } of account.phases) this.book(on(name), ms);
    for (const note of account.notes) this.note(note);
    this.conversation.push(...account.conversation.map((line) => ({ ...line, atMs: line.atMs + startedMs })));
  }

  /** Notes what was wrong without failing the run. */
  warn(fault: ProbeFailure): void {
    this.note({ learnt: 'fault', fault });
  }

  hasWarned(reason: Reason): boolean {
    return this.notes.some((note) => note.learnt === 'fault' && note.fault.reason === reason);
  }

  /** Whether the server names a capability (RFC 2449); null where it named none at all. */
  offers(tag: string): boolean | null {
    const listings = this.notes.map((note) => (note.learnt === 'capabilities' ? note.capabilities : []));
    const lines = listings.filter((listing) => listing.length > 0).pop();
    return lines === undefined ? null : lines.some((line) => line.split(' ', 1)[0]?.toUpperCase() === tag);
  }

  /** A line for the conversation. */
  happened(words: string): void {
    if (this.trace) this.conversation.push({ atMs: this.elapsedMs, who: '*', words: printable(words, 400) });
  }

  /** What each visit meets again is told once, and the first size of the mailbox counts. */
  private note(note: Note): void {
    const isKnown = this.notes.some((known) =>
      note.learnt === 'fault' && known.learnt === 'fault'
        ? known.fault.reason === note.fault.reason && known.fault.message === note.fault.message
        : known.learnt === note.learnt,
    );
    if (!isKnown || note.learnt === 'capabilities') this.notes.push(note);
  }
}
