import { join, text } from '../dialogue/bytes.ts';
import type { Connected, Dialogue, Entered, Note, Phase, TlsFacts, Want } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Mask } from '../dialogue/secret.ts';
import { printable } from './printable.ts';
import type { PhaseTime, Spoken } from './result.ts';
import type { Link, Stop, World } from './world.ts';

/** On what terms a dialogue is driven. */
export interface Terms {
  readonly world: Pick<World, 'now' | 'timer' | 'hash'>;
  /** When it has to have ended, on the clock of `world.now`. Nothing the server sends moves it. */
  readonly deadline: number;
  /** How long that is in all, for the words of a failure. */
  readonly allowedMs: number;
  readonly mask: Mask;
  /** Whether the conversation is kept. */
  readonly trace: boolean;
  readonly stop: Stop | null;
}

/** What came of a dialogue: how it ended, and all that was learnt up to there. */
export interface Account<T> {
  readonly outcome: { readonly value: T } | { readonly failure: ProbeFailure };
  readonly phases: readonly PhaseTime[];
  readonly connected: Connected | null;
  readonly tls: TlsFacts | null;
  readonly notes: readonly Note[];
  readonly conversation: readonly Spoken[];
}

/**
 * Carries a dialogue through over a link: answers its wants, books the time each took on its phase, and holds the
 * one deadline. The link is closed when this ends, however it ends. A failure of the link is thrown into the
 * dialogue, which may know better what it means; past the deadline it may still tell what it knows, but not wait.
 *
 * @returns the account; a ProbeFailure is in it. Rejects only for a bug.
 */
export async function drive<T>(dialogue: Dialogue<T>, link: Link, terms: Terms): Promise<Account<T>> {
  const { now } = terms.world;
  const phases = new Map<Phase, number>();
  const notes: Note[] = [];
  const trace = terms.trace ? new Trace(terms.mask, now) : null;
  let entered: Entered | null = null;
  let connected: Connected | null = null;
  let tls: TlsFacts | null = null;
  let last: Want | null = null;

  // What ends the run before its time. `fail` is whoever is waiting at that moment: one at a time.
  let ended: ProbeFailure | null = null;
  let fail: ((failure: ProbeFailure) => void) | null = null;
  const end = (failure: ProbeFailure): void => {
    ended = ended ?? failure;
    if (fail !== null) fail(ended);
  };
  const late = (): ProbeFailure => tooLate(last, terms.allowedMs, entered !== null);
  const cancelTimer = terms.world.timer(Math.max(0, terms.deadline - now()), () => end(late()));
  const cancelStop = terms.stop === null ? () => undefined : terms.stop(end);

  const waitFor = async <A>(answer: () => Promise<A>): Promise<A> => {
    // A link that always has an answer at hand would keep the timer from ever ringing.
    if (ended === null && now() >= terms.deadline) end(late());
    if (ended !== null) throw ended;
    try {
      return await new Promise<A>((resolve, reject) => {
        fail = reject;
        answer().then(resolve, reject);
      });
    } finally {
      fail = null;
    }
  };

  const answer = async (want: Want): Promise<void> => {
    switch (want.want) {
      case 'resolve':
        want.slot.put(await waitFor(() => link.resolve(want.name)));
        break;
      case 'proxy':
        entered = await waitFor(() => link.reachProxy());
        trace?.happened(`let in by the proxy ${entered.address} port ${entered.port}`);
        want.slot.put(entered);
        break;
      case 'connect': {
        connected = await waitFor(() => link.connect(want.to, want.port));
        const to = typeof want.to === 'string' ? want.to : connected.address;
        trace?.happened(`connected to ${to} port ${want.port}${entered === null ? '' : ' through the proxy'}`);
        want.slot.put(connected);
        break;
      }
      case 'secure': {
        const secured = await waitFor(() => link.secure());
        tls = secured.facts;
        trace?.happened(
          tls === null
            ? 'TLS'
            : `${tls.protocol} ${tls.cipher}, certificate for ${tls.names.join(', ') || tls.subject}`,
        );
        want.slot.put(secured);
        break;
      }
      case 'write':
        trace?.sent(want.shown);
        await waitFor(() => link.write(want.octets));
        break;
      case 'read': {
        const octets = await waitFor(() => link.read());
        trace?.received(octets);
        want.slot.put(octets);
        break;
      }
      case 'derive':
        want.slot.put(await waitFor(() => terms.world.hash(want.recipe)));
        break;
      case 'note':
        notes.push(want.note);
    }
  };

  // Time is booked from one answer to the next, what the dialogue made of the last one with it: nothing is lost.
  let booked = now();
  const book = (phase: Phase): void => {
    const until = now();
    phases.set(phase, (phases.get(phase) ?? 0) + until - booked);
    booked = until;
  };

  const outcome = async (): Promise<Account<T>['outcome']> => {
    let told = false;
    try {
      let step = dialogue.next();
      for (;;) {
        if (step.done) return { value: step.value };
        const want: Want = step.value;
        if (want.want !== 'note') last = want;
        let problem: unknown = null;
        try {
          await answer(want);
        } catch (thrown) {
          problem = thrown;
        }
        if (want.want !== 'note') book(want.phase);
        if (problem !== null && !(problem instanceof ProbeFailure)) throw problem;
        if (problem === null) {
          step = dialogue.next();
          continue;
        }
        // Told once that it is over, a dialogue may still say what it knows, but waits for nothing more.
        if (told) {
          dialogue.return(undefined as never);
          return { failure: problem };
        }
        told = ended !== null;
        step = dialogue.throw(problem);
      }
    } catch (thrown) {
      if (!(thrown instanceof ProbeFailure)) throw thrown;
      thrown.phase = thrown.phase ?? last?.phase ?? null;
      return { failure: thrown };
    }
  };

  try {
    const came = await outcome();
    if (last !== null) book((last as Want).phase);
    if ('failure' in came)
      trace?.happened(`${came.failure.reason}${came.failure.message && `: ${came.failure.message}`}`);
    const times = Array.from(phases, ([name, ms]) => ({ name, ms }));
    return { outcome: came, phases: times, connected, tls, notes, conversation: trace?.lines() ?? [] };
  } finally {
    cancelTimer();
    cancelStop();
    link.close();
  }
}

/** What it means that the time is up, told by what was being waited for. */
function tooLate(last: Want | null, allowedMs: number, isInProxy: boolean): ProbeFailure {
  const within = `within ${Number((allowedMs / 1000).toFixed(1))} s`;
  if (last === null) return new ProbeFailure('timed-out', `nothing was done ${within}`);
  // No answer from a resolver tells nothing about the mail server.
  if (last.want === 'resolve') return new ProbeFailure('dns-unavailable', `no answer about ${last.name} ${within}`);
  const missing: Readonly<Record<Want['want'], string>> = {
    resolve: '',
    proxy: 'the proxy did not let us in',
    connect: `no connection${isInProxy ? ' through the proxy' : ''}`,
    secure: 'the TLS handshake did not end',
    write: 'the server does not take what is sent',
    read: last.phase === 'greeting' ? 'no greeting' : 'no answer',
    derive: 'a computation did not end',
    note: 'nothing',
  };
  return new ProbeFailure('timed-out', `${missing[last.want]} ${within}`);
}

const FIRST_LINES = 300;
const LATEST_LINES = 100;
const LONGEST_LINE = 400;
const LONGEST_HELD = 8 * 1024;
const LF = 0x0a;
const NOTHING: Uint8Array = new Uint8Array(0);

/**
 * The server's proof in SCRAM (base 64 of `v=`): with the salt and the nonces before it anybody could try passwords
 * against it.
 */
const PROOF = /^\+ dj[0-9]/;

/**
 * The conversation line by line. A line of the server is shown once it is whole: a secret it echoes could come in
 * pieces, and a mask that sees pieces covers nothing.
 */
class Trace {
  private readonly first: Spoken[] = [];
  private readonly latest: Spoken[] = [];
  private omitted = 0;
  private readonly mask: Mask;
  private readonly now: () => number;
  private readonly began: number;
  private held = NOTHING;

  constructor(mask: Mask, now: () => number) {
    this.mask = mask;
    this.now = now;
    this.began = now();
  }

  sent(words: string): void {
    this.flush();
    this.add('C', words);
  }

  happened(words: string): void {
    this.flush();
    this.add('*', words);
  }

  received(octets: Uint8Array | null): void {
    if (octets === null) this.happened('the server closed the connection');
    let rest = octets ?? new Uint8Array(0);
    for (let end = rest.indexOf(LF); end >= 0; end = rest.indexOf(LF)) {
      this.hold(rest.subarray(0, end + 1));
      this.flush();
      rest = rest.subarray(end + 1);
    }
    this.hold(rest);
  }

  lines(): readonly Spoken[] {
    this.flush();
    if (this.omitted === 0) return [...this.first, ...this.latest];
    const atMs = this.latest[0]?.atMs ?? 0;
    return [...this.first, { atMs, who: '*', words: `… ${this.omitted} lines left out` }, ...this.latest];
  }

  /** Octets, not text: a character may come in pieces too. What goes beyond a line's length is dropped. */
  private hold(octets: Uint8Array): void {
    const room = LONGEST_HELD - this.held.length;
    if (room > 0 && octets.length > 0) this.held = join(this.held, octets.subarray(0, room));
  }

  private flush(): void {
    if (this.held.length > 0) this.add('S', text(this.held).replace(/\r?\n$/, ''));
    this.held = NOTHING;
  }

  private add(who: Spoken['who'], words: string): void {
    const masked = who === '*' ? words : this.mask(PROOF.test(words) && who === 'S' ? '+ ****' : words);
    const line: Spoken = { atMs: this.now() - this.began, who, words: printable(masked, LONGEST_LINE) };
    // How it began and how it ended tell most.
    if (this.first.length < FIRST_LINES) this.first.push(line);
    else this.latest.push(line);
    if (this.latest.length <= LATEST_LINES) return;
    this.latest.shift();
    this.omitted++;
  }
}
