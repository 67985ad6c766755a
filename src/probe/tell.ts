import type { Note, TlsFacts } from '../dialogue/dialogue.ts';
import type { ProbeFailure } from '../dialogue/failure.ts';
import type { Mask } from '../dialogue/secret.ts';
import type { MailboxSize } from '../pop3/mailbox.ts';
import type { ConnectionType } from '../pop3/visit.ts';
import type { Course } from './course.ts';
import { hintFor } from './hint.ts';
import { printable } from './printable.ts';
import type { ProbePlan } from './probe.ts';
import type { ProbeResult, Problem, RoundTrip } from './result.ts';

/**
 * The result, from the course a run took.
 *
 * @param failure what it ended in, or null
 * @param startTime ISO 8601, UTC
 */
export function resultOf(
  plan: ProbePlan,
  course: Course,
  failure: ProbeFailure | null,
  roundTrip: RoundTrip | null,
  mask: Mask,
  startTime: string,
): ProbeResult {
  const { notes, connected } = course;
  const told = {
    schema: 1,
    casServer: printable(plan.server, LONGEST_MESSAGE),
    mailboxServer: plan.mailboxServer,
    localSite: plan.localSite,
    scenario: 'Test POP3 Connectivity',
    latencyMs: course.elapsedMs,
    warnings: [...plan.known, ...allOf(notes, 'fault').map(({ fault }) => fault)]
      // What it failed of in the end need not be told twice.
      .filter(({ reason, message }) => reason !== failure?.reason || message !== failure.message)
      .map((fault) => problemOf(fault, plan, mask)),
    connectionType: plan.visit.connectionType,
    port: plan.visit.port,
    address: connected?.address ?? null,
    deadAddresses: (connected?.dead ?? []).map(({ address, failure: why }) => ({ address, problem: why.message })),
    userName: printable(plan.visit.login.userName, LONGEST_MESSAGE),
    startTime,
    phases: course.phases,
    tls: course.tls === null ? null : printableFacts(course.tls),
    capabilities: lastOf(notes, 'capabilities')?.capabilities.map((each) => shown(each, mask)) ?? null,
    mailbox: sizeOf(lastOf(notes, 'mailbox')),
    roundTrip: roundTrip === null ? null : printableTrip(roundTrip),
  } as const;
  return failure === null
    ? { ...told, result: 'Success', error: null }
    : { ...told, result: 'Failure', error: problemOf(failure, plan, mask) };
}

/** Who was to be tested and how, as far as that is known. */
export interface Subject {
  readonly server: string;
  readonly mailboxServer: string | null;
  readonly localSite: string | null;
  readonly port: number;
  readonly connectionType: ConnectionType;
  readonly userName: string;
}

/**
 * The result of a test that was never begun.
 *
 * @param startTime when it would have begun: ISO 8601, UTC
 */
export const untested = (
  subject: Subject,
  result: 'Skipped' | 'Failure',
  failure: ProbeFailure,
  startTime: string,
): ProbeResult => ({ ...nothingOf(subject, startTime), result, error: problemFor(subject, failure) });

/**
 * The result of what was done to an account, or was to be.
 *
 * @param isSkipped whether it was left undone on purpose
 * @param startTime ISO 8601, UTC
 */
export function accountResult(
  subject: Subject,
  scenario: Exclude<ProbeResult['scenario'], 'Test POP3 Connectivity'>,
  failure: ProbeFailure | null,
  isSkipped: boolean,
  latencyMs: number,
  startTime: string,
): ProbeResult {
  const phases = isSkipped ? [] : [{ name: 'directory', ms: latencyMs } as const];
  const told = { ...nothingOf(subject, startTime), scenario, latencyMs, phases };
  if (failure === null) return { ...told, result: 'Success', error: null };
  return { ...told, result: isSkipped ? 'Skipped' : 'Failure', error: problemFor(subject, failure) };
}

/** What is told where no mail server was asked. */
const nothingOf = (subject: Subject, startTime: string) =>
  ({
    schema: 1,
    casServer: printable(subject.server, LONGEST_MESSAGE),
    mailboxServer: subject.mailboxServer,
    localSite: subject.localSite,
    scenario: 'Test POP3 Connectivity',
    latencyMs: 0,
    warnings: [],
    connectionType: subject.connectionType,
    port: subject.port,
    address: null,
    deadAddresses: [],
    userName: printable(subject.userName, LONGEST_MESSAGE),
    startTime,
    phases: [],
    tls: null,
    capabilities: null,
    mailbox: null,
    roundTrip: null,
  }) as const;

function problemFor({ server, port, connectionType, userName }: Subject, failure: ProbeFailure): Problem {
  const visit = { port, connectionType, login: { kind: 'password', userName } } as const;
  return problemOf(failure, { server, visit }, (text) => text);
}

/** What a failure says to people, safe to show. */
export function problemOf(failure: ProbeFailure, plan: Tested, mask: Mask): Problem {
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
      credential: to.login.kind,
      phase: failure.phase,
    }),
  };
}

/** What of a plan a failure is told by. */
interface Tested {
  readonly server: string;
  readonly visit: {
    readonly port: number;
    readonly connectionType: ConnectionType;
    readonly login: Pick<ProbePlan['visit']['login'], 'kind' | 'userName'>;
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

const printableTrip = (trip: RoundTrip): RoundTrip => ({
  ...trip,
  hops: trip.hops.map(({ by, seconds }) => ({ by: printable(by, LONGEST_SAID), seconds })),
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
