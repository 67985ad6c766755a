import { ProbeFailure } from '../dialogue/failure.ts';
import type { Inventory } from './errands.ts';
import { mail } from './mailing.ts';
import { uidsOf } from './stock.ts';
import { cameBack, notRetrieved, type Trip } from './trip.ts';
import { asTheyAre } from './visits.ts';
import type { LeftRun } from './world.ts';

/** How many of the latest messages are looked at for those of the runs before. */
const LATEST = 200;

/**
 * The full test over two runs (`--split`), for a platform that gives little time or a server that wants long between
 * logons: one visit, which looks for what the runs before sent, and a message for the next one.
 */
export async function inTwoRuns(trip: Trip): Promise<void> {
  const { run, full, ledger, told, visits } = trip;
  const awaited = ledger.runs.filter(({ state }) => state === 'pending');
  const { findings } = await lookFor(trip, awaited);
  if (run.course.offers('TOP') === false) throw withoutTop();
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
  for (const each of pending) ledger.turn(each.run, 'pending');
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
  if (arrivals.length > 0 && !told.retrieved) throw notRetrieved();
  const [bounce] = bounces;
  if (bounce !== undefined) throw cameBack(bounce.diagnostic);
  const [first] = lost;
  if (first !== undefined) {
    const many = lost.length === 1 ? 'the message' : `${lost.length} messages, the first`;
    const message = `${many} sent ${trip.seconds - first.sentAt} s ago never arrived`;
    throw new ProbeFailure('not-delivered', message, { phase: 'delivery' });
  }
}

/**
 * A run that is ended in this visit may have deleted the messages already: the next one must not wait for them. So
 * nobody does, until it is known.
 */
async function lookFor(trip: Trip, awaited: readonly LeftRun[]): Promise<Inventory> {
  const turn = (state: LeftRun['state']): void => {
    for (const { run } of awaited) trip.ledger.turn(run, state);
  };
  turn('unfinished');
  try {
    const runs = awaited.map(({ run }) => run);
    return await trip.takeStock(LATEST, runs, asTheyAre);
  } catch (problem) {
    if (!(problem instanceof ProbeFailure) || problem.reason !== 'interrupted') turn('pending');
    throw problem;
  }
}

/** Where nobody may look at headers, older messages are left alone: the one that is awaited is among them. */
const withoutTop = (): ProbeFailure =>
  new ProbeFailure(
    'configuration',
    'the server does not offer TOP, without which --split finds nothing: leave it out',
    {
      phase: 'mailbox',
    },
  );

const sum = (all: number, { seconds }: { readonly seconds: number }): number => all + seconds;
