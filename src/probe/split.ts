import { ProbeFailure } from '../dialogue/failure.ts';
import { mail } from './mailing.ts';
import { uidsOf } from './stock.ts';
import { cameBack, type Trip } from './trip.ts';
import { asTheyAre } from './visits.ts';

/** How many of the latest messages are looked at for those of the runs before. */
const LATEST = 200;

/**
 * The full test over two runs (`--split`), for a platform that gives little time or a server that wants long between
 * logons: one visit, which looks for what the runs before sent, and a message for the next one.
 */
export async function inTwoRuns(trip: Trip): Promise<void> {
  const { run, full, ledger, told, visits } = trip;
  const awaited = ledger.runs.filter(({ state }) => state === 'pending');
  const { findings } = await trip.takeStock(
    LATEST,
    awaited.map((each) => each.run),
    asTheyAre,
  );
  const { arrivals, reports } = findings;
  const bounces = reports.filter(({ action }) => action === 'failed');
  const settled = [...arrivals.map(({ marker }) => marker.run), ...bounces.map(({ about }) => about.marker.run)];
  const missing = awaited.filter((each) => !settled.includes(each.run));
  const lost = missing.filter(({ expiresAt }) => expiresAt < trip.seconds);
  const pending = missing.filter((each) => !lost.includes(each));
  for (const each of lost) ledger.giveUp(each.run);
  for (const arrival of arrivals) if (!arrival.isDeleted) ledger.leave(arrival.marker.run, arrival);
  ledger.forget(...settled.filter((name) => arrivals.every((each) => each.marker.run !== name || each.isDeleted)));
  ledger.delete([...ledger.deleted, ...uidsOf(arrivals.filter(({ isDeleted }) => isDeleted))]);
  told.pending = pending.length;
  told.lost = lost.length;
  if (arrivals.length > 0) {
    trip.noteArrivals(arrivals);
    // Nobody was waiting: how long it took is known from the clocks of the mail servers alone.
    told.isEstimate = true;
    told.deliveryMs = told.hops.length === 0 ? null : 1000 * Math.max(0, told.hops.reduce(sum, 0));
  }
  const [oldest] = pending;
  if (oldest !== undefined) {
    const since = `a message sent ${trip.seconds - oldest.sentAt} s ago has not arrived yet`;
    run.course.warn(new ProbeFailure('delivery-delayed', since, { phase: 'delivery' }));
  }
  await mail(run, ledger, full, trip.submit, 'pending', visits.reserveMs);
  told.sendMs = run.course.timeOf('send');
  const [bounce] = bounces;
  if (bounce !== undefined) throw cameBack(bounce.diagnostic);
  const [first] = lost;
  if (first !== undefined) {
    const many = lost.length === 1 ? 'the message' : `${lost.length} messages, the first`;
    const message = `${many} sent ${trip.seconds - first.sentAt} s ago never arrived`;
    throw new ProbeFailure('not-delivered', message, { phase: 'delivery' });
  }
}

const sum = (all: number, { seconds }: { readonly seconds: number }): number => all + seconds;
