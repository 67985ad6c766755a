import { ProbeFailure } from '../dialogue/failure.ts';
import { type Arrival, arrivalsSince, type Findings, type Inventory, survivors } from './errands.ts';
import { describeWay, type Mailed, mail } from './mailing.ts';
import { uidsOf } from './stock.ts';
import { arrivedTimes, cameBack, notRetrieved, type Trip } from './trip.ts';
import { asDelivery, asPreparation, asVerification, isPassing, waits } from './visits.ts';

/** How many older messages are looked at, at the most, for what earlier runs left. */
const LATEST = 50;

/** The full test in one run: stock, send, find, compare, delete, and see that it is gone. */
export async function inOneRun(trip: Trip): Promise<void> {
  const { run, full, ledger, told, visits } = trip;
  const before = await trip.takeStock(LATEST, [], asPreparation);
  visits.refuseLongDelay();
  const mailed = await mail(run, ledger, full, trip.submit, 'unfinished', visits.reserveMs);
  told.sendMs = run.course.timeOf('send');
  const arrivals = await awaitArrival(trip, before, mailed);
  told.deliveryMs = run.course.timeOf('delivery');
  trip.noteArrivals(arrivals);
  const deleted = uidsOf(arrivals.filter(({ isDeleted }) => isDeleted));
  for (const arrival of arrivals) if (!arrival.isDeleted) ledger.leave(mailed.marker.run, arrival);
  ledger.delete([...ledger.deleted, ...deleted]);
  if (!told.retrieved) throw notRetrieved();
  await verify(trip, before, mailed, new Set(uidsOf(arrivals.filter(({ isDeleted }) => !isDeleted))));
  if (told.deleted) ledger.forget(mailed.marker.run);
}

/** How many messages of the first look we have deleted since. */
const goneSince = ({ findings }: Inventory): number => findings.stale.filter(({ isDeleted }) => isDeleted).length;

/** Visits until the message is there. Between visits no session is open: it could lock the mailbox. */
async function awaitArrival(trip: Trip, before: Inventory, mailed: Mailed): Promise<readonly Arrival[]> {
  const { run, full, ledger, told, visits } = trip;
  const search = trip.searchFor([mailed.marker.run], mailed.octets);
  const seen = new Set<string>();
  let trouble: ProbeFailure | null = null;
  for (const waitMs of waits(0)) {
    const pauseMs = visits.pauseMs(waitMs);
    if (pauseMs > run.leftMs - visits.reserveMs) break;
    await run.pause('delivery', pauseMs);
    let findings: Findings;
    try {
      findings = await visits.make(arrivalsSince(before.stock, goneSince(before), search, seen), asDelivery);
    } catch (problem) {
      // Who was told that the mailbox is in use, and then waits for it until the time is up, is not told again.
      if (trouble !== null && isLateLogin(problem)) break;
      if (!isPassing(problem)) throw problem;
      trouble = problem;
      continue;
    }
    trouble = null;
    told.polls++;
    for (const uid of findings.seen) seen.add(uid);
    trip.noteFindings(findings);
    const bounce = findings.reports.find(({ action }) => action === 'failed');
    if (bounce !== undefined) {
      ledger.forget(mailed.marker.run);
      throw cameBack(bounce.diagnostic);
    }
    if (findings.arrivals.length > 0) return findings.arrivals;
  }
  // A mailbox that could not be opened is to blame, not the way of the mail.
  if (trouble !== null) throw trouble;
  const taken = `${run.course.hasWarned('send-unconfirmed') ? 'perhaps taken by' : 'taken by'} ${describeWay(full.send)}`;
  // Nobody has looked: it may have been there all the time.
  if (told.polls === 0)
    throw new ProbeFailure('timed-out', `${taken}, and there was no time to look for it`, { phase: 'delivery' });
  ledger.giveUp(mailed.marker.run);
  const waited = `${((run.course.timeOf('delivery') ?? 0) / 1000).toFixed(1)} s`;
  throw new ProbeFailure('not-delivered', `${taken}, not in the mailbox after ${waited}`, { phase: 'delivery' });
}

const isLateLogin = (problem: unknown): boolean =>
  problem instanceof ProbeFailure && problem.reason === 'timed-out' && problem.phase === 'login';

/**
 * Some servers say "+OK, deleted" and keep it: only a visit of its own tells.
 *
 * @param left identifiers of copies that were not deleted
 */
async function verify(trip: Trip, before: Inventory, mailed: Mailed, left: ReadonlySet<string>): Promise<void> {
  const { run, ledger, told, visits } = trip;
  const pauseMs = visits.pauseMs(0);
  if (pauseMs >= run.leftMs) {
    const late = 'there was no time left to see whether the message is gone';
    run.course.warn(new ProbeFailure('timed-out', late, { phase: 'verify' }));
    return;
  }
  await run.pause('verify', pauseMs);
  const search = trip.searchFor([mailed.marker.run], mailed.octets);
  const gone = goneSince(before);
  const known = new Set([...Array.from(left), ...ledger.seen]);
  const suspicion = { deleted: new Set(ledger.deleted), left: known, whole: gone > 0 };
  const errand = survivors(before.stock, gone, suspicion, search);
  const { undead, findings } = await visits.makePatiently(errand, asVerification);
  trip.noteFindings(findings);
  // Without identifiers a message that is still there cannot be told from one that came twice.
  const kept = before.stock.known === null ? findings.arrivals.length : undead.length;
  if (kept > 0) {
    const many = kept === 1 ? 'a message is' : `${kept} messages are`;
    const message = `after DELE and QUIT ${many} still there`;
    run.course.warn(new ProbeFailure('not-deleted', message, { phase: 'verify' }));
  } else if (findings.arrivals.length > 0) {
    run.course.warn(arrivedTimes(findings.arrivals.length + 1, 'verify'));
  }
  told.verified = told.deleted && kept === 0;
  // What was told to be there still needs not be told again by the next run, which tries to delete it.
  ledger.delete(uidsOf([...findings.arrivals, ...findings.stale].filter(({ isDeleted }) => isDeleted)));
  if (undead.length > 0) for (const uid of undead) ledger.leave(mailed.marker.run, { uid });
  if (undead.length > 0) told.deleted = false;
}
