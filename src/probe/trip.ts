import { ProbeFailure } from '../dialogue/failure.ts';
import { type Arrival, type Findings, type Inventory, inventory, type Search } from './errands.ts';
import type { FullTestPlan } from './full-test.ts';
import type { Ledger } from './ledger.ts';
import type { RoundTrip } from './result.ts';
import type { Run } from './run.ts';
import { uidsOf } from './stock.ts';
import { type Booking, Visits } from './visits.ts';
import type { Submit } from './world.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A full test under way: what it has in its hands, and what it tells in the end. */
export class Trip {
  readonly run: Run;
  readonly full: FullTestPlan;
  readonly ledger: Ledger;
  readonly told: Mutable<RoundTrip>;
  readonly submit: Submit;
  readonly visits: Visits;

  constructor(run: Run, full: FullTestPlan, ledger: Ledger, told: Mutable<RoundTrip>, submit: Submit) {
    this.run = run;
    this.full = full;
    this.ledger = ledger;
    this.told = told;
    this.submit = submit;
    this.visits = new Visits(run);
  }

  /** Seconds since 1970. */
  get seconds(): number {
    return Math.floor(this.run.world.date().getTime() / 1000);
  }

  /**
   * The first visit: what is there, and what earlier runs left, which is removed.
   *
   * @param latest how many older messages are looked at
   * @param awaited the runs whose messages are looked for
   */
  async takeStock(latest: number, awaited: readonly string[], booking: Booking): Promise<Inventory> {
    const { ledger, run } = this;
    const knowledge = {
      seen: new Set(ledger.seen),
      deleted: new Set(ledger.deleted),
      remembered: new Set(ledger.uids),
    };
    const errand = inventory(this.searchFor(awaited, TYPICAL_OCTETS), knowledge, latest);
    const found = await this.visits.makePatiently(errand, booking);
    const { stock, findings, undead } = found;
    if (undead.length > 0) {
      const many =
        undead.length === 1
          ? 'a message that an earlier run deleted is'
          : `${undead.length} messages that earlier runs deleted are`;
      run.course.warn(new ProbeFailure('not-deleted', `${many} still there`, { phase: 'delete' }));
    }
    ledger.seeOnly(new Set(uidsOf(stock.newest)));
    ledger.delete(uidsOf(findings.stale.filter(({ isDeleted }) => isDeleted)));
    this.noteFindings(findings);
    return found;
  }

  /** Books what looking through the mailbox brought beside what was awaited. */
  noteFindings({ stale, reports, seen }: Findings): void {
    const { told, ledger, run } = this;
    ledger.see(seen);
    told.stale += stale.length;
    told.staleRemoved += stale.filter(({ isDeleted }) => isDeleted).length;
    for (const { marker, uid, isDeleted, report } of stale) {
      // That a message is late does not say that it will not come.
      if (report?.action === 'delayed') continue;
      if (ledger.runs.some((each) => each.run === marker.run && each.state === 'given-up')) {
        const ago = `at most ${this.seconds - marker.sentAt} s after it was sent`;
        run.course.warn(report === null ? cameLate(ago) : cameBackLate(ago, report.diagnostic));
      }
      if (isDeleted) ledger.forget(marker.run);
      else ledger.leave(marker.run, { uid });
    }
    for (const { action, diagnostic } of reports) {
      if (action === 'failed') continue;
      const delay = 'a mail server reports that the message is delayed';
      run.course.warn(new ProbeFailure('delivery-delayed', delay, { said: diagnostic, phase: 'delivery' }));
    }
  }

  /** Books what became of the message itself. */
  noteArrivals(arrivals: readonly Arrival[]): void {
    const { run, told } = this;
    const [first] = arrivals;
    const copies = arrivals.filter(({ marker }) => marker.run === first?.marker.run).length;
    if (copies > 1) run.course.warn(arrivedTimes(copies, 'delivery'));
    const changes = ([] as string[]).concat(...arrivals.map((arrival) => arrival.changes));
    if (changes.length > 0) {
      run.course.warn(new ProbeFailure('altered', Array.from(new Set(changes)).join(', '), { phase: 'retrieve' }));
    }
    told.retrieved = arrivals.some(({ isRetrieved }) => isRetrieved);
    told.deleted = arrivals.every(({ isDeleted }) => isDeleted);
    told.hops = first?.hops ?? [];
  }

  searchFor(awaited: readonly string[], octets: number): Search {
    return {
      sender: { seal: { key: this.ledger.key, recipient: this.full.to }, from: this.full.from },
      awaited: new Set(awaited),
      // Nobody else of this machine is at this mailbox: what is remembered and not awaited has ended.
      over: new Set(this.ledger.runs.map(({ run }) => run).filter((run) => !awaited.includes(run))),
      ours: new Set([...this.ledger.deleted, ...this.ledger.uids]),
      now: this.seconds,
      keepStale: this.full.keepStale,
      octets,
    };
  }
}

export const arrivedTimes = (copies: number, phase: 'delivery' | 'verify'): ProbeFailure =>
  new ProbeFailure('duplicate', `the message arrived ${copies} times`, { phase });

const cameLate = (ago: string): ProbeFailure =>
  new ProbeFailure('delivery-delayed', `a message an earlier run gave up has arrived, ${ago}`, { phase: 'delivery' });

const cameBackLate = (ago: string, said: string): ProbeFailure =>
  new ProbeFailure('bounced', `a message an earlier run gave up came back, ${ago}`, { said, phase: 'delivery' });

/** Found by its header, and no more: a mail client would not get at it either. */
export const notRetrieved = (): ProbeFailure =>
  new ProbeFailure('server-permanent', 'the message is in the mailbox, and RETR is refused', { phase: 'retrieve' });

export const cameBack = (diagnostic: string): ProbeFailure =>
  new ProbeFailure('bounced', 'the message came back', { said: diagnostic, phase: 'delivery' });

/** Octets of our message, near enough for a bound, before it is written. */
const TYPICAL_OCTETS = 1024;
