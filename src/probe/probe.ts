import type { Address, Dialogue, Note, TlsFacts } from '../dialogue/dialogue.ts';
import type { ProbeFailure } from '../dialogue/failure.ts';
import { type Mask, maskFor } from '../dialogue/secret.ts';
import { type MailboxSize, stat } from '../pop3/mailbox.ts';
import { type Errand, lookUp, type VisitPlan, visit } from '../pop3/visit.ts';
import { type Account, drive } from './drive.ts';
import { hintFor } from './hint.ts';
import { printable } from './printable.ts';
import type { ProbeResult, Problem, Spoken } from './result.ts';
import type { LinkTerms, Stop, World } from './world.ts';

/** One test of one server, as far as the probe is concerned. */
export interface ProbePlan {
  /** The server as the user names it. */
  readonly server: string;
  readonly localSite: string | null;
  readonly visit: VisitPlan;
  readonly link: LinkTerms;
  /** For the whole run, and for one connection of it. */
  readonly timeoutMs: number;
  readonly perConnectionTimeoutMs: number;
  /** Whether the conversation is kept. */
  readonly trace: boolean;
}

export interface Probed {
  readonly result: ProbeResult;
  readonly conversation: readonly Spoken[];
}

/**
 * The LightMode test: a logon, and a look at the mailbox, for `+OK` to a password is no proof that it opens.
 *
 * @param deadline when the run has to have ended, on the clock of `world.now`; a connection has its slice of that
 */
export async function probe(plan: ProbePlan, world: World, stop: Stop | null, deadline: number): Promise<Probed> {
  return (await carry(plan, visit(plan.visit, lookIn), world, stop, deadline)).probed;
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
  const { account, probed } = await carry(asking, lookUp(plan.visit.to), world, stop, deadline);
  return 'value' in account.outcome ? { addresses: account.outcome.value } : { probed };
}

/** Drives one dialogue over one link, and tells of it as a result. */
async function carry<T>(
  plan: ProbePlan,
  dialogue: Dialogue<T>,
  world: World,
  stop: Stop | null,
  deadline: number,
): Promise<{ readonly account: Account<T>; readonly probed: Probed }> {
  const mask = maskFor([plan.visit.login.password]);
  const link = world.dial(plan.link);
  const startTime = world.date().toISOString();
  const began = world.now();
  const until = Math.min(deadline, began + plan.perConnectionTimeoutMs);
  const account = await drive(dialogue, link, {
    world,
    deadline: until,
    allowedMs: Math.min(until - began, plan.timeoutMs),
    mask,
    trace: plan.trace,
    stop,
  });
  const result = tell(plan, account, mask, startTime, world.now() - began);
  return { account, probed: { result, conversation: account.conversation } };
}

const lookIn: Errand<MailboxSize> = (wire) => wire.during('mailbox', stat(wire));

/** The result, from what the driver brought back. */
function tell(
  plan: ProbePlan,
  account: Account<unknown>,
  mask: Mask,
  startTime: string,
  latencyMs: number,
): ProbeResult {
  const problem = (failure: ProbeFailure): Problem => problemOf(failure, plan, mask);
  const told = {
    schema: 1,
    casServer: printable(plan.server, LONGEST_MESSAGE),
    localSite: plan.localSite,
    scenario: 'Test POP3 Connectivity',
    latencyMs,
    warnings: allOf(account.notes, 'fault').map((note) => problem(note.fault)),
    connectionType: plan.visit.connectionType,
    port: plan.visit.port,
    address: account.connected?.address ?? null,
    deadAddresses: (account.connected?.dead ?? []).map(({ address, failure }) => ({
      address,
      problem: failure.message,
    })),
    userName: printable(plan.visit.login.userName, LONGEST_MESSAGE),
    startTime,
    phases: account.phases,
    tls: account.tls === null ? null : printableFacts(account.tls),
    capabilities: lastOf(account.notes, 'capabilities')?.capabilities.map((each) => shown(each, mask)) ?? null,
    mailbox: sizeOf(lastOf(account.notes, 'mailbox')),
  } as const;
  return 'failure' in account.outcome
    ? { ...told, result: 'Failure', error: problem(account.outcome.failure) }
    : { ...told, result: 'Success', error: null };
}

/** What a failure says to people, safe to show. */
export function problemOf(failure: ProbeFailure, plan: ProbePlan, mask: Mask): Problem {
  const said = failure.said === null ? '' : `server said "${shown(failure.said, mask)}"`;
  const { server, visit: to } = plan;
  return {
    phase: failure.phase,
    reason: failure.reason,
    message: [printable(failure.message, LONGEST_MESSAGE), said].filter((clause) => clause !== '').join(', '),
    hint: hintFor(failure.reason, {
      server: printable(server, LONGEST_MESSAGE),
      port: to.port,
      userName: printable(to.login.userName, LONGEST_MESSAGE),
      connectionType: to.connectionType,
      phase: failure.phase,
    }),
  };
}

/** Long enough for every server's real words, short enough for a line of output. */
const LONGEST_SAID = 90;
const LONGEST_MESSAGE = 200;

/** Masked first, then escaped and cut: a cut may go through a secret, and an escape may split it. */
const shown = (foreign: string, mask: Mask): string => printable(mask(foreign), LONGEST_SAID);

const printableFacts = (facts: TlsFacts): TlsFacts => ({
  ...facts,
  subject: printable(facts.subject, LONGEST_MESSAGE),
  issuer: printable(facts.issuer, LONGEST_MESSAGE),
  names: facts.names.map((name) => printable(name, LONGEST_MESSAGE)),
});

type Learnt<K extends Note['learnt']> = Extract<Note, { learnt: K }>;

const allOf = <K extends Note['learnt']>(notes: readonly Note[], learnt: K): readonly Learnt<K>[] =>
  notes.filter((note): note is Learnt<K> => note.learnt === learnt);

function lastOf<K extends Note['learnt']>(notes: readonly Note[], learnt: K): Learnt<K> | null {
  const found = allOf(notes, learnt);
  return found[found.length - 1] ?? null;
}

const sizeOf = (note: Learnt<'mailbox'> | null): MailboxSize | null =>
  note === null ? null : { messages: note.messages, octets: note.octets };
