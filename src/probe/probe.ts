import type { Address } from '../dialogue/dialogue.ts';
import type { ProbeFailure } from '../dialogue/failure.ts';
import { type MailboxSize, stat } from '../pop3/mailbox.ts';
import { type Errand, lookUp, type VisitPlan, visit } from '../pop3/visit.ts';
import { authorise, type Tokens } from './authorise.ts';
import { type FullTestPlan, fullTest } from './full-test.ts';
import type { ProbeResult, Spoken } from './result.ts';
import { Run, settled } from './run.ts';
import type { LinkTerms, Stop, World } from './world.ts';

/** One test of one server, as far as the probe is concerned. */
export interface ProbePlan {
  /** The server as the user names it. */
  readonly server: string;
  /** The Mailbox server behind it, and the site of this machine; null where no directory tells. */
  readonly mailboxServer: string | null;
  readonly localSite: string | null;
  readonly visit: VisitPlan;
  readonly link: LinkTerms;
  /** The message that is sent and looked for; null for LightMode, the logon alone. */
  readonly fullTest: FullTestPlan | null;
  /** The access tokens that are to be had first; null where there are none to get. */
  readonly tokens: Tokens | null;
  /** For the whole run, and for one connection of it. */
  readonly timeoutMs: number;
  readonly perConnectionTimeoutMs: number;
  /** What is known to be wrong beforehand, and is told as a warning. */
  readonly known: readonly ProbeFailure[];
  /** Whether the conversation is kept. */
  readonly trace: boolean;
}

export interface Probed {
  readonly result: ProbeResult;
  readonly conversation: readonly Spoken[];
  /** What is to be said and changes no state. */
  readonly remarks: readonly string[];
}

/**
 * The test: LightMode, a logon and a look at the mailbox, for `+OK` to a password is no proof that it opens; or the
 * full test, a message on its way through the mail system and back.
 *
 * @param deadline when the run has to have ended, on the clock of `world.now`; a connection has its slice of that
 */
export async function probe(plan: ProbePlan, world: World, stop: Stop | null, deadline: number): Promise<Probed> {
  if (plan.fullTest !== null) return await fullTest(plan, plan.fullTest, world, stop, deadline);
  const run = new Run(plan, world, stop, deadline);
  const failure = await run.failureOf(async () => {
    await authorise(run);
    settled(await run.carry(visit(run.plan.visit, lookIn)));
  });
  return run.told(failure, null, []);
}

/**
 * The addresses behind a server's name, or what became of asking for them.
 *
 * @param deadline as for `probe`
 */
export async function addressesOf(
  plan: ProbePlan,
  world: World,
  stop: Stop | null,
  deadline: number,
): Promise<{ readonly addresses: readonly Address[] } | { readonly probed: Probed }> {
  // A lookup alone has no use for authorities, and they take long to read.
  const asking = { ...plan, link: { ...plan.link, tls: null } };
  const run = new Run(asking, world, stop, deadline);
  const outcome = await run.carry(lookUp(plan.visit.to));
  return 'value' in outcome ? { addresses: outcome.value } : { probed: run.told(outcome.failure, null, []) };
}

const lookIn: Errand<MailboxSize> = (wire) => wire.during('mailbox', stat(wire));
