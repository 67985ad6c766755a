import { randomBytes } from 'node:crypto';

export interface Message {
  /** Unique for the life of the maildrop, 0x21-0x7E, at most 70 characters: RFC 1939 §7. */
  readonly uid: string;
  readonly bytes: Uint8Array;
}

/** One mailbox in memory. Deliveries come in at any time; readers each see it as it was when they opened it. */
export class Maildrop {
  private stored: readonly Message[] = [];
  private delivered = 0;
  private locked = false;
  private readonly epoch = randomBytes(4).toString('hex');

  get messages(): readonly Message[] {
    return this.stored;
  }

  deliver(bytes: Uint8Array): Message {
    this.delivered += 1;
    const message = { uid: `${this.epoch}.${this.delivered}`, bytes: Uint8Array.from(bytes) };
    this.stored = [...this.stored, message];
    return message;
  }

  remove(uids: ReadonlySet<string>): void {
    this.stored = this.stored.filter((message) => !uids.has(message.uid));
  }

  /**
   * Opens the maildrop for one session: RFC 1939 §4 asks for an exclusive lock, many servers do without.
   * Null when another session holds the lock.
   */
  open(exclusive = false): OpenMaildrop | null {
    if (exclusive && this.locked) return null;
    if (exclusive) this.locked = true;
    return new OpenMaildrop(this, this.stored, () => {
      if (exclusive) this.locked = false;
    });
  }
}

/** A session's view: numbers never shift, marks count only once `commit` is called (RFC 1939 §5, §6). */
export class OpenMaildrop {
  private readonly maildrop: Maildrop;
  private readonly snapshot: readonly Message[];
  private readonly unlock: () => void;
  private readonly marked = new Set<string>();
  private released = false;

  constructor(maildrop: Maildrop, snapshot: readonly Message[], unlock: () => void) {
    this.maildrop = maildrop;
    this.snapshot = snapshot;
    this.unlock = unlock;
  }

  /** What is not marked, with its message number. */
  remaining(): { readonly number: number; readonly message: Message }[] {
    return this.snapshot
      .map((message, index) => ({ number: index + 1, message }))
      .filter(({ message }) => !this.marked.has(message.uid));
  }

  find(number: number): Message | null {
    const message = this.snapshot[number - 1];
    return message === undefined || this.marked.has(message.uid) ? null : message;
  }

  mark(message: Message): void {
    this.marked.add(message.uid);
  }

  unmarkAll(): void {
    this.marked.clear();
  }

  /** The UPDATE state: removes what is marked. */
  commit(): void {
    this.maildrop.remove(this.marked);
  }

  /** Gives the lock back; twice does no harm. */
  release(): void {
    if (!this.released) this.unlock();
    this.released = true;
  }
}
