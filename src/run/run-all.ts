import { asFailure, type ProbeFailure, type Reason } from '../dialogue/failure.ts';
import type { ProbeResult } from '../probe/result.ts';
import { untested } from '../probe/tell.ts';
import type { Stop, World } from '../probe/world.ts';
import type { Addressee } from '../request/delivery.ts';
import type { Request } from '../request/request.ts';
import { type Bounds, sweep, type Task, type Watcher } from '../sweep/sweep.ts';
import { gather, isTest, judge, remark, type Verdict } from '../verdict/judge.ts';
import type { State } from '../verdict/severity.ts';
import { run } from './run.ts';

/** One server of several: what is asked of it, or what is wrong with what was to be. */
export interface Aim {
  readonly label: string;
  /** As it was given. */
  readonly server: string;
  readonly request: Request | ProbeFailure | Done;
  /** The object of a platform its result is delivered to, if it is to be. */
  readonly addressee: Addressee | null;
  /** Whether there is nothing to be tested of it, and nothing wrong with that. */
  readonly isSkipped: boolean;
  /** The Mailbox server behind it, and the site of this machine; null where no directory tells. */
  readonly mailboxServer: string | null;
  readonly localSite: string | null;
  /** The site of the server; null where no directory tells. */
  readonly site: string | null;
}

/** What was done before anybody was tested: a row of its own. */
export interface Done {
  readonly result: ProbeResult;
  readonly remarks: readonly string[];
  /** States the user gave to reasons. */
  readonly severity: ReadonlyMap<Reason, State>;
}

/**
 * Tests many servers. What is wrong with one is told of that one alone.
 *
 * @param watcher is told each verdict as it comes
 * @returns the worst of all, what was done before first, then sorted by name
 */
export async function runAll(
  aims: readonly Aim[],
  bounds: Bounds,
  world: World,
  stop: Stop,
  watcher: Watcher<Verdict>,
): Promise<Verdict> {
  const before = aims.flatMap(({ label, request }) => ('result' in request ? [doneOf(label, request)] : []));
  for (const verdict of before) {
    watcher.began(verdict.text);
    watcher.ended(verdict.text, verdict);
  }
  const tasks = aims.filter(isAhead).map((aim) => taskOf(aim, world));
  const verdicts = tasks.length === 0 ? [] : await sweep(tasks, bounds, world, stop, watcher);
  // Several addresses of one server stand beside the others.
  const flat = verdicts.flatMap((verdict) => (isTest(verdict) ? [verdict] : verdict.parts));
  // host9 before host10, whatever the language of the machine. Made here, for it takes long to make.
  const { compare } = new Intl.Collator('en', { numeric: true });
  const sorted = [...before, ...flat.slice().sort((a, b) => compare(a.text, b.text))];
  const counted = countedOf(sorted, new Set(aims.filter(({ isSkipped }) => isSkipped).map((aim) => aim.label)));
  const said = new Set(aims.flatMap(({ request }) => ('policy' in request ? request.policy.remarks : [])));
  return gather('', [...counted, ...Array.from(said, (text) => remark('ok', text))]);
}

/** A server that has nothing to be tested counts only where no other has: then nobody knows whether anything works. */
function countedOf(verdicts: readonly Verdict[], skipped: ReadonlySet<string>): readonly Verdict[] {
  if (verdicts.every(({ text }) => skipped.has(text))) return verdicts;
  return verdicts.map((verdict) => {
    const [why] = verdict.parts;
    if (!skipped.has(verdict.text) || !isTest(verdict) || why === undefined) return verdict;
    return { ...verdict, state: 'ok', summary: why.text, parts: [] };
  });
}

/** One that is yet to be tested. */
interface Ahead extends Aim {
  readonly request: Request | ProbeFailure;
}

const isAhead = (aim: Aim): aim is Ahead => !('result' in aim.request);

function taskOf(aim: Ahead, world: World): Task<Verdict> {
  const { label, request } = aim;
  if (!('policy' in request)) {
    const verdict = (): Verdict => refusedOf(aim, request, world);
    return { label, server: label, user: label, limitMs: 0, run: async () => verdict(), skip: verdict };
  }
  const { plan, policy } = request;
  const { visit } = plan;
  const to = typeof visit.to === 'string' ? visit.to.toLowerCase() : visit.to.address;
  // Said once for all of them.
  const quiet = { ...request, policy: { ...policy, remarks: [] } };
  return {
    label,
    server: to,
    user: visit.login.userName,
    limitMs: plan.timeoutMs,
    run: async (stop, deadline) => {
      try {
        return named(label, endedOf(await run(quiet, world, stop, deadline)));
      } catch (bug) {
        // Of one test: the others go on.
        return refusedOf(aim, asFailure(bug), world);
      }
    },
    skip: (why) => {
      const { server, mailboxServer, localSite } = plan;
      const { port, connectionType, login } = visit;
      const subject = { server, mailboxServer, localSite, port, connectionType, userName: login.userName };
      const result = untested(subject, 'Skipped', why, world.date().toISOString());
      return named(label, judge(result, quiet.policy));
    },
  };
}

const doneOf = (label: string, { result, remarks, severity }: Done): Verdict =>
  named(label, judge(result, { ...LENIENT, remarks, severity }));

/** What a test came to whose settings were refused: nobody asked the server anything. */
function refusedOf(
  { label, server, isSkipped, mailboxServer, localSite }: Aim,
  failure: ProbeFailure,
  world: World,
): Verdict {
  const subject = { server, mailboxServer, localSite, port: 0, connectionType: 'tls', userName: '' } as const;
  const result = untested(subject, isSkipped ? 'Skipped' : 'Failure', failure, world.date().toISOString());
  return named(label, judge(result, LENIENT));
}

const LENIENT = {
  warning: new Map(),
  critical: new Map(),
  certificateDefaults: false,
  severity: new Map(),
  expect: null,
  remarks: [],
} as const;

/** A test that was ended in the middle says nothing about the server: it was skipped. */
export function endedOf(verdict: Verdict): Verdict {
  if (!isTest(verdict)) return { ...verdict, parts: verdict.parts.map(endedOf) };
  const { result } = verdict;
  if (result.error?.reason !== 'interrupted') return verdict;
  return {
    ...judge({ ...result, result: 'Skipped', error: result.error }, LENIENT, verdict.conversation),
    text: verdict.text,
  };
}

/** Under the name of its target; of several addresses each under its own behind that. */
const named = (label: string, verdict: Verdict): Verdict =>
  isTest(verdict)
    ? { ...verdict, text: label }
    : { ...verdict, text: label, parts: verdict.parts.map((part) => ({ ...part, text: `${label} ${part.text}` })) };
