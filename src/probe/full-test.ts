import { ProbeFailure } from '../dialogue/failure.ts';
import { authorise } from './authorise.ts';
import { Ledger, nothingRemembered } from './ledger.ts';
import type { Mailing } from './mailing.ts';
import type { Probed, ProbePlan } from './probe.ts';
import type { RoundTrip } from './result.ts';
import { inOneRun } from './round-trip.ts';
import { Run } from './run.ts';
import { inTwoRuns } from './split.ts';
import { Trip } from './trip.ts';
import type { MemoryTerms, Stop, World } from './world.ts';

/** The message of the full test, and what is done beside. */
export interface FullTestPlan extends Mailing {
  /** Verify what the run before sent, and send anew for the next one. */
  readonly split: boolean;
  /** Leave what earlier runs left. */
  readonly keepStale: boolean;
  readonly memory: MemoryTerms;
}

/**
 * The full test: sends a message, finds it, compares it, deletes it and sees that it is gone; in one run, or with
 * `--split` from one run to the next. It touches nothing that is not proved to be its own.
 *
 * @param deadline as for `probe`
 */
export async function fullTest(
  plan: ProbePlan,
  full: FullTestPlan,
  world: World,
  stop: Stop | null,
  deadline: number,
): Promise<Probed> {
  const { send } = world;
  if (send === null) throw new TypeError('a full test in a runtime that cannot send');
  // Loading what speaks SMTP takes longer than most servers do: not on their time.
  await send(full.send);
  const run = new Run(plan, world, stop, deadline);
  const told = nothingYet(full);
  const remarks: string[] = [];
  let ledger: Ledger | null = null;
  let failure: ProbeFailure | null = null;
  try {
    failure = await run.failureOf(async () => {
      await authorise(run);
      const ready = run.plan.fullTest ?? full;
      const submit = await send(ready.send);
      ledger = await openLedger(run, ready);
      const trip = new Trip(run, ready, ledger, told, submit);
      await (ready.split ? inTwoRuns(trip) : inOneRun(trip));
    });
  } finally {
    const opened = ledger as Ledger | null;
    const trouble = opened?.trouble() ?? null;
    if (trouble !== null) remarks.push(trouble);
    opened?.close();
  }
  return run.told(failure, told, remarks);
}

const nothingYet = ({ send }: FullTestPlan): RoundTrip => ({
  sentVia: send.via,
  sendMs: null,
  deliveryMs: null,
  isEstimate: false,
  polls: 0,
  retrieved: false,
  deleted: false,
  verified: false,
  stale: 0,
  staleRemoved: 0,
  pending: 0,
  lost: 0,
  hops: [],
});

const RETRY_LOCK_MS = 100;

/** One run of this machine at a time on a mailbox. Half of the time is for waiting, for the test needs the other half. */
async function openLedger(run: Run, full: FullTestPlan): Promise<Ledger> {
  const { world, plan } = run;
  const seconds = Math.floor(world.date().getTime() / 1000);
  if (world.memory === null) return new Ledger(nothingRemembered(world), seconds);
  const mailbox = `${plan.visit.login.userName}\n${plan.server}`.toLowerCase();
  const giveUp = world.now() + run.leftMs / 2;
  for (;;) {
    const memory = world.memory(mailbox, full.memory, run.leftMs);
    if (memory !== null) return new Ledger(memory, seconds);
    if (world.now() >= giveUp) {
      const waited = `${(run.course.elapsedMs / 1000).toFixed(1)} s`;
      throw new ProbeFailure('already-running', `another run has had this mailbox for ${waited}`);
    }
    await run.pause('mailbox', RETRY_LOCK_MS);
  }
}
