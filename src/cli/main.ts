import { nodeSources } from '../credentials/sources.ts';
import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { hintFor } from '../probe/hint.ts';
import { printable } from '../probe/printable.ts';
import { type Manner, PLAIN_MANNER, type Report, type Reporter } from '../reporters/reporter.ts';
import { type Defaults, parseRequest, parseTimeout, type Request } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import { oneOf, seconds, wholeNumber } from '../request/values.ts';
import { run } from '../run/run.ts';
import { type Aim, endedOf, runAll } from '../run/run-all.ts';
import { operationsOf } from '../run/what-if.ts';
import { Lines, leave } from '../runtimes/node/leave.ts';
import { nodeWorld } from '../runtimes/node/world.ts';
import type { Bounds } from '../sweep/sweep.ts';
import { refuse, type TestVerdict, testsIn } from '../verdict/judge.ts';
import { parseArguments } from './arguments.ts';
import { expandExtraOpts } from './expand.ts';
import { explain } from './explain.ts';
import { helpFor } from './help.ts';
import { type Option, optionsOf } from './options.ts';
import { type Screen, showProgress } from './progress.ts';
import { stopOnSignals } from './signals.ts';
import { targetsOf } from './targets.ts';
import { VERSION } from './version.ts';

/** What makes a command: its platform's words and its defaults. */
export interface Command extends Defaults {
  readonly name: string;
  /** One sentence for --help. */
  readonly summary: string;
  /** The arguments of the usual run. */
  readonly usage: string;
  readonly reporter: Reporter;
  /** Arguments, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
  /** What a command for people has beyond one for a platform. */
  readonly people?: People;
}

/** A platform goes by the exit code and takes what is on stderr for output; people have a terminal, or a pipe. */
export interface People {
  /** Brings arguments as people write them into the form of getopt. */
  readonly spelling: (argv: readonly string[], options: readonly Option[]) => readonly string[];
  /** What settings mean to this command, and what is to be remarked on. */
  readonly prepare: (settings: Settings) => { readonly settings: Settings; readonly remarks: readonly string[] };
  /** The values of --format. */
  readonly formats: Readonly<Record<string, Reporter>>;
  /** Those of them that tell what was said. */
  readonly conversationIn: readonly string[];
  /** The format whose lines are written as the results come, and how. */
  readonly stream: { readonly format: string; readonly line: (test: TestVerdict, manner: Manner) => string };
}

/** Runs a command from its arguments to its exit. It never returns, and leaves by one door with one report. */
export async function main(command: Command): Promise<never> {
  const exit = ({ stdout, stderr = '', exitCode }: Report): never => {
    if (stderr !== '') process.stderr.write(stderr);
    return leave(stdout, exitCode, command.people === undefined ? 'platform' : 'people');
  };
  // A refusal, too, is told in the format that was asked for, once that is known.
  let { reporter } = command;
  const refused = (problem: unknown): Report => reporter(refuse(tell(problem)), PLAIN_MANNER);
  // Platforms take what a plugin writes to stderr for its output; Node writes its warnings there.
  process.removeAllListeners('warning');
  // Node would end with 1, and that reads as WARNING.
  process.on('uncaughtException', (problem) => exit(refused(problem)));
  process.on('unhandledRejection', (problem) => exit(refused(problem)));
  try {
    const chose = (chosen: Reporter): void => {
      reporter = chosen;
    };
    return exit(await carryOut(command, chose, (failure) => exit(refused(failure))));
  } catch (problem) {
    return exit(refused(problem));
  }
}

/** `--help` and `--version` exit as UNKNOWN: a platform that runs them by mistake must not read an OK. */
const NO_VERDICT = 3;

async function carryOut(
  command: Command,
  chose: (reporter: Reporter) => void,
  end: (failure: ProbeFailure) => void,
): Promise<Report> {
  const stop = stopOnSignals(end);
  const began = nodeWorld.now();
  const { people } = command;
  const told = (stdout: string, exitCode = 0): Report => ({
    stdout,
    exitCode: people === undefined ? NO_VERDICT : exitCode,
  });
  const options = optionsOf(command.name);
  const argv = process.argv.slice(2);
  const given = parseArguments(people === undefined ? argv : people.spelling(argv, options), options);
  const settings =
    given['extra-opts'] === undefined || given.help === true ? given : await expand(given, command, began);
  if (settings.help === true) return told(await helpFor(command));
  if (settings.explain !== undefined) return told(await explain(settings.explain as string));
  if (settings.version === true) return told(`${command.name} v${VERSION} (pop-connectivity ${VERSION})\n`);
  const reporter = reporterOf(command, settings);
  chose(reporter);
  const common = people === undefined ? settings : people.prepare(settings).settings;
  const timeoutMs = parseTimeout(common, command);
  const readsInput = settings['password-stdin'] === true || settings.targets !== undefined;
  const awaited = readsInput ? STANDARD_INPUT_LATE : 'nobody typed a password';
  const aims = await within(timeoutMs, began, awaited, aimsOf(common, command));
  const requests = aims.map(({ request }) => request).filter((request) => 'policy' in request);
  const [first] = requests as [Request, ...Request[]];
  // Nothing was measured: a platform that runs it so by mistake must not read an OK.
  if (first.whatIf) return told(listOf(aims, 'What if: '), aims.length === requests.length ? 0 : SOME_WERE_LEFT_OUT);
  if (first.confirm) await within(timeoutMs, began, 'nobody answered', askFirst(aims));
  const manner = mannerOf(first.verbosity, settings);
  const progress = showProgress(aims.length, screenOf(aims.length > 1 || people !== undefined), nodeWorld.now);
  // A platform has waited since the start; to people their own time to type a password is not the server's.
  const from = people === undefined ? began : nodeWorld.now();
  const bounds = boundsOf(requests, common, command, { from, timeoutMs });
  try {
    if (aims.length === 1) {
      progress.began(aims[0]?.label ?? '');
      const deadline = from + Math.min(timeoutMs, first.plan.timeoutMs);
      const verdict = await run(first, nodeWorld, stop, deadline);
      return reporter(people === undefined ? verdict : endedOf(verdict), manner);
    }
    const isStreamed = people !== undefined && settings.format === people.stream.format;
    const lines = isStreamed ? new Lines() : null;
    const verdict = await runAll(aims, bounds, nodeWorld, stop, {
      began: progress.began,
      ended: (label, each) => {
        progress.ended(label, each);
        if (lines === null) return;
        progress.erase();
        lines.write(
          testsIn(each)
            .map((test) => people?.stream.line(test, manner))
            .join(''),
        );
      },
    });
    const report = reporter(verdict, manner);
    if (lines === null) return report;
    await lines.written();
    return { ...report, stdout: '' };
  } finally {
    progress.clear();
  }
}

/** What people are told of by the exit code where a run would leave some servers out. */
const SOME_WERE_LEFT_OUT = 1;

function reporterOf({ people, reporter }: Command, { format }: Settings): Reporter {
  if (people === undefined || format === undefined) return reporter;
  return people.formats[oneOf('--format', format, Object.keys(people.formats), '')] as Reporter;
}

/** Of a terminal that does not know how wide it is. */
const USUAL_COLUMNS = 80;

const mannerOf = (verbosity: number, settings: Settings): Manner => ({
  verbosity,
  width: process.stdout.isTTY ? process.stdout.columns || USUAL_COLUMNS : null,
  monitoringContext: settings['monitoring-context'] === true,
  isColoured: process.stdout.isTTY && (process.env.NO_COLOR ?? '') === '',
});

/** Where somebody watches, if it is worth it. */
const screenOf = (isLong: boolean): Screen | null =>
  isLong && process.stderr.isTTY
    ? { columns: process.stderr.columns || USUAL_COLUMNS, write: (text) => process.stderr.write(text) }
    : null;

/** The targets as requests; what is wrong with one is its own matter, unless it is wrong with all of them. */
async function aimsOf(settings: Settings, command: Command): Promise<readonly Aim[]> {
  const asking = askingOnce(nodeSources);
  // Who only wants to know what would be done need not say the password.
  const sources = settings['what-if'] === true ? { ...asking, askOnTerminal: async () => 'not asked for' } : asking;
  const aims: Aim[] = [];
  for (const target of await targetsOf(settings, command.name, sources)) {
    aims.push({
      label: target.label,
      server: target.server,
      request: await requestOf(target.settings, command, sources),
    });
  }
  const refusals = aims.map(({ request }) => request).filter((request) => request instanceof ProbeFailure);
  const isRefused = refusals.length === aims.length;
  if (isRefused && new Set(refusals.map(({ message }) => message)).size === 1) throw refusals[0];
  if (isRefused) throw new ProbeFailure('configuration', `no target can be tested; the first: ${refusals[0]?.message}`);
  return aims;
}

async function requestOf(settings: Settings, command: Command, sources: Sources): Promise<Request | ProbeFailure> {
  try {
    const prepared = command.people?.prepare(settings) ?? { settings, remarks: [] };
    const request = await parseRequest(prepared.settings, command, sources);
    const { plan, policy } = request;
    const trace = plan.trace || command.people?.conversationIn.includes(String(settings.format)) === true;
    return {
      ...request,
      plan: { ...plan, trace },
      policy: { ...policy, remarks: [...policy.remarks, ...prepared.remarks] },
    };
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
}

/** Nobody types the same password for each of many servers, and standard input is there once. */
function askingOnce(sources: Sources): Sources {
  const typed = new Map<string, Promise<string | null>>();
  let read: Promise<string> | null = null;
  return {
    ...sources,
    standardInput: () => {
      read ??= sources.standardInput();
      return read;
    },
    askOnTerminal: (prompt, userName) => {
      const answer = typed.get(userName) ?? sources.askOnTerminal(prompt, userName);
      typed.set(userName, answer);
      return answer;
    },
  };
}

const USUAL_CONCURRENCY = 20;
const MOST_CONCURRENCY = 500;

/**
 * How long many servers may take, and how many of them at a time. A plugin has as long for all of them as for one, for
 * its platform waits no longer; to people each may take its time, one after the other.
 */
function boundsOf(
  requests: readonly Request[],
  settings: Settings,
  { people }: Command,
  { from, timeoutMs }: { readonly from: number; readonly timeoutMs: number },
): Bounds {
  const { concurrency: given } = settings;
  const concurrency =
    given === undefined ? USUAL_CONCURRENCY : wholeNumber('--concurrency', given, 1, MOST_CONCURRENCY);
  const together = requests.reduce((sum, { plan }) => sum + plan.timeoutMs, 0) / 1000;
  const usual = people === undefined ? timeoutMs / 1000 : Math.min(together * 1.1 + 5, LONGEST_SWEEP_S);
  const allS = seconds(settings, 'sweep-timeout', usual, LONGEST_SWEEP_S);
  // A lookup that is not answered holds a thread of Node's; four of them would hold up everybody else.
  if (requests.length > 1) process.env.UV_THREADPOOL_SIZE ??= String(concurrency + SPARE_THREADS);
  return { concurrency, deadline: from + allS * 1000 };
}

const LONGEST_SWEEP_S = 7200;
const SPARE_THREADS = 4;

/** What would be done, a line for each operation, and what would not. */
const listOf = (aims: readonly Aim[], before: string): string =>
  aims
    .flatMap(({ label, request }) =>
      'policy' in request ? operationsOf(request) : [`not test ${label}: ${request.message}`],
    )
    .map((operation) => `${before}${printable(operation, LONGEST_OPERATION)}\n`)
    .join('');

/** Tells what is about to be done, and goes on only when somebody says yes. */
async function askFirst(aims: readonly Aim[]): Promise<void> {
  const answer = await nodeSources.confirmOnTerminal(`About to\n${listOf(aims, '  ')}Go on? [y/N] `);
  if (answer === null) throw usage('--confirm has nobody to ask: there is no terminal; leave it out');
  if (!answer) throw new ProbeFailure('interrupted', 'not confirmed: nothing was done');
}

const LONGEST_OPERATION = 400;

/** An ini file may come on standard input; how long is waited for it, it cannot say itself. */
function expand(given: Settings, command: Command, began: number): Promise<Settings> {
  const timeoutMs = parseTimeout(given, command);
  return within(timeoutMs, began, STANDARD_INPUT_LATE, expandExtraOpts(given, command.name, nodeSources));
}

const STANDARD_INPUT_LATE = 'standard input did not end';

/** A request waits for nothing but people: for a password, or for what standard input brings. */
async function within<T>(limitMs: number, began: number, awaited: string, request: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new ProbeFailure('configuration', `${awaited} within ${limitMs / 1000} s`)),
      began + limitMs - nodeWorld.now(),
    );
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    clearTimeout(timer);
  }
}

const LONGEST_MESSAGE = 200;
const NOBODY = {
  server: '',
  port: 0,
  userName: '',
  connectionType: 'tls',
  credential: 'password',
  phase: null,
} as const;

/** What went wrong before there was a result. A bug says its name and place, without what it may hold of a secret. */
function tell(problem: unknown): Parameters<typeof refuse>[0] {
  const failure =
    problem instanceof ProbeFailure
      ? problem
      : new ProbeFailure('internal-error', problem instanceof Error ? crash(problem) : 'no error');
  return {
    phase: failure.phase,
    reason: failure.reason,
    message: printable(failure.message, LONGEST_MESSAGE),
    hint: hintFor(failure.reason, NOBODY),
  };
}

const crash = ({ name, stack = '' }: Error): string => `${name} ${/\n\s*(at [^\n]*)/.exec(stack)?.[1] ?? ''}`.trim();
