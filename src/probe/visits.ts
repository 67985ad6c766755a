import type { Phase } from '../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../dialogue/failure.ts';
import { type Errand, visit } from '../pop3/visit.ts';
import type { Run } from './run.ts';

/** On which phase of the run a phase of a visit is booked. */
export type Booking = (phase: Phase) => Phase;

/** The phases of the visit are the run's. */
export const asTheyAre: Booking = (phase) => phase;

/** The same for the first visit of several, as far as a user would make it: what it removes was not sent by this run. */
export const asPreparation: Booking = (phase) => (phase === 'retrieve' || phase === 'delete' ? 'mailbox' : phase);

/**
 * A visit that looks for the message belongs to its delivery, as far as time goes; blame stays where it belongs. What
 * was marked as deleted is deleted by QUIT (RFC 1939 §6).
 */
export const asDelivery: Booking = (phase) =>
  phase === 'retrieve' || phase === 'delete' ? phase : phase === 'quit' ? 'delete' : 'delivery';

export const asVerification: Booking = () => 'verify';

/** The visits of a run to one mailbox, never closer together than the server wants them. */
export class Visits {
  private readonly run: Run;
  private lastLogon = Number.NEGATIVE_INFINITY;
  private loginDelayMs = 0;
  private firstMs = 0;

  constructor(run: Run) {
    this.run = run;
  }

  /** How long to wait until the server lets us in again, at least that long. */
  pauseMs(leastMs: number): number {
    return Math.max(leastMs, this.lastLogon + this.loginDelayMs - this.run.world.now());
  }

  /** What has to be left of the time for one more look and the visit that verifies. */
  get reserveMs(): number {
    return Math.max(LEAST_RESERVE_MS, 2 * Math.min(this.firstMs, LONGEST_VISIT_MS)) + this.loginDelayMs;
  }

  async make<T>(errand: Errand<T>, booking: Booking): Promise<T> {
    const { run } = this;
    const began = run.world.now();
    const outcome = await run.carry(visit(run.plan.visit, errand), booking);
    this.lastLogon = run.world.now();
    if (this.firstMs === 0) this.firstMs = this.lastLogon - began;
    this.loginDelayMs = this.askedDelayMs();
    if ('failure' in outcome) throw outcome.failure;
    return outcome.value;
  }

  /** The same, but a mailbox that another session holds is tried again, as a mail client would, in half of the time. */
  async makePatiently<T>(errand: Errand<T>, booking: Booking): Promise<T> {
    const until = this.run.world.now() + this.run.leftMs / 2;
    for (const waitMs of waits(FIRST_RETRY_MS)) {
      try {
        return await this.make(errand, booking);
      } catch (problem) {
        const pauseMs = this.pauseMs(waitMs);
        if (!isPassing(problem) || this.run.world.now() + pauseMs > until) throw problem;
        this.run.happened(`${problem.reason}: once more in ${(pauseMs / 1000).toFixed(1)} s`);
        await this.run.pause(booking('login'), pauseMs);
      }
    }
    throw new Error('waits() never ends');
  }

  /**
   * Two more visits have to fit, one that finds the message and one that sees it gone: better no test than half of one.
   *
   * @throws ProbeFailure `configuration` where the server wants longer between them than there is time
   */
  refuseLongDelay(): void {
    if (this.loginDelayMs === 0 || this.loginDelayMs + this.reserveMs < this.run.leftMs) return;
    const wants = `the server wants ${this.loginDelayMs / 1000} s between logons (LOGIN-DELAY)`;
    throw new ProbeFailure(
      'configuration',
      `${wants}, too long for a full test in one run: use --split, a longer --timeout or --light-mode`,
      { phase: 'login' },
    );
  }

  /** RFC 2449 §6.5, by the last listing; a line that does not tell a number tells nothing. */
  private askedDelayMs(): number {
    const listings = this.run.course.notes.map((note) => (note.learnt === 'capabilities' ? note.capabilities : []));
    const lines = listings.filter((listing) => listing.length > 0).pop() ?? [];
    const [asked] = lines.map((line) => /^LOGIN-DELAY (\d{1,6})(?: |$)/i.exec(line)?.[1]).filter((each) => each);
    return Number(asked ?? 0) * 1000;
  }
}

const FIRST_RETRY_MS = 1000;
const LEAST_RESERVE_MS = 250;
const LONGEST_VISIT_MS = 2500;

/** After that long, then with back-off: 0.5 s, 1 s, 2 s … up to a quarter of a minute. */
export function* waits(firstMs: number): Generator<number, never, void> {
  yield firstMs;
  for (let next = 500; ; next = Math.min(next * 2, 15_000)) yield next;
}

/** What a mail client would meet with patience: somebody else has the mailbox, we came too soon, it will pass. */
const PASSING: readonly Reason[] = ['mailbox-in-use', 'login-delay', 'server-temporary'];

export const isPassing = (problem: unknown): problem is ProbeFailure =>
  problem instanceof ProbeFailure && PASSING.includes(problem.reason);
