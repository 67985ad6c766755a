import { ProbeFailure } from '../dialogue/failure.ts';
import type { Ledger } from './ledger.ts';
import { type Marker, RUN_OCTETS, runName, signing, spelt } from './marker.ts';
import { composed } from './message.ts';
import type { Run } from './run.ts';
import type { LeftRun, Sending, SendPlan, Submit } from './world.ts';

/** A message that was handed over to the mail system, or may have been. */
export interface Mailed {
  readonly marker: Marker;
  /** Its size as it was sent. */
  readonly octets: number;
}

/** What is sent from whom to whom, and how. */
export interface Mailing {
  readonly from: string;
  readonly to: string;
  readonly send: SendPlan;
}

/** A message is its run's own for an hour, or twice the time of the run: then anybody with the key may delete it. */
const LEAST_LIFETIME_S = 3600;

/** Between attempts. Greylisting wants minutes, a busy server seconds. After the last one there is no other. */
const NEVER = Number.MAX_SAFE_INTEGER;
const AGAIN_MS = [2000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 120_000, 300_000, NEVER];

/**
 * Writes a message and hands it over; where the mail system puts us off, again and again while time allows.
 *
 * @param submit the way, prepared
 * @param state how the run is remembered when the message was handed over
 * @param reserveMs what has to be left of the time afterwards
 * @throws ProbeFailure what the mail system has against it
 */
export async function mail(
  run: Run,
  ledger: Ledger,
  { from, to, send: plan }: Mailing,
  submit: Submit,
  state: LeftRun['state'],
  reserveMs: number,
): Promise<Mailed> {
  const { world } = run;
  const marker = newMarker(run);
  const signature = await world.hash(signing(marker, { key: ledger.key, recipient: to }));
  const letter = {
    marker: spelt(marker, signature),
    run: marker.run,
    from,
    to,
    sentAt: new Date(marker.sentAt * 1000),
  };
  const octets = composed(letter);
  // Written down before anything is sent: whatever ends this run, the next one knows what it may have left, and waits
  // for nothing that was perhaps never sent.
  ledger.add({ ...marker, state: 'unfinished', uids: [] });
  for (const waitMs of AGAIN_MS) {
    const problem = await attempt(run, submit({ from, to, octets }), plan);
    if (problem === null) break;
    if (problem.reason === 'send-unconfirmed') {
      // It may have been taken: sent again it could arrive twice. Whether it was, the mailbox will tell.
      run.course.warn(problem);
      break;
    }
    const pauseMs = waitMs === NEVER ? NEVER : (problem.retryAfterMs ?? waitMs);
    if (problem.reason !== 'send-deferred' || pauseMs * 2 > run.leftMs - reserveMs) {
      if (problem.reason !== 'timed-out') ledger.forget(marker.run);
      throw problem;
    }
    run.course.warn(problem);
    await run.pause('send', pauseMs);
  }
  if (state !== 'unfinished') ledger.turn(marker.run, state);
  return { marker, octets: octets.length };
}

function newMarker({ world, plan }: Run): Marker {
  const sentAt = Math.floor(world.date().getTime() / 1000);
  const lifetime = Math.max(LEAST_LIFETIME_S, Math.ceil((2 * plan.timeoutMs) / 1000));
  return { run: runName(world.random(RUN_OCTETS)), sentAt, expiresAt: sentAt + lifetime };
}

/** One attempt. Whatever goes wrong is the sending's fault: it is told apart from POP3's. */
async function attempt(run: Run, sending: Sending, plan: SendPlan): Promise<ProbeFailure | null> {
  run.happened(`sending through ${describeWay(plan)}`);
  try {
    const late = () => new ProbeFailure('timed-out', `${describeWay(plan)} did not take the message`);
    const { said } = await run.waitFor('send', sending.done, late);
    run.happened(`sent: ${said}`);
    return null;
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    run.happened([`${problem.reason}:`, problem.message, problem.said ?? ''].join(' '));
    if (problem.reason === 'interrupted') throw problem;
    problem.phase = 'send';
    return problem;
  } finally {
    sending.abandon();
  }
}

/** The way of a message, for people. */
export function describeWay(plan: SendPlan): string {
  return plan.via === 'smtp' ? `${plan.server} port ${plan.port}` : `${WAYS[plan.via]} at ${plan.url}`;
}

const WAYS = { ews: 'Exchange Web Services', 'ews-save': 'Exchange Web Services', graph: 'Microsoft Graph' } as const;
