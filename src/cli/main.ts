import { nodeSources } from '../credentials/sources.ts';
import { asFailure, ProbeFailure, usage } from '../dialogue/failure.ts';
import { hintFor } from '../probe/hint.ts';
import { printable } from '../probe/printable.ts';
import { type Manner, PLAIN_MANNER, type Report, type Reporter } from '../reporters/reporter.ts';
import { type DeliveryPlan, parseDelivery } from '../request/delivery.ts';
import { type Defaults, parseTimeout } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import { oneOf } from '../request/values.ts';
import { run } from '../run/run.ts';
import { type Aim, endedOf, runAll } from '../run/run-all.ts';
import { operationsOf } from '../run/what-if.ts';
import { Lines, leave, print } from '../runtimes/node/leave.ts';
import { nodeWorld } from '../runtimes/node/world.ts';
import { refuse, type TestVerdict, testsIn, type Verdict } from '../verdict/judge.ts';
import { aimsOf } from './aims.ts';
import { parseArguments } from './arguments.ts';
import { boundsOf } from './bounds.ts';
import { expandExtraOpts } from './expand.ts';
import { explain } from './explain.ts';
import { type HandedOver, handOver, nameOf } from './hand-over.ts';
import { helpFor } from './help.ts';
import { type Option, optionsOf } from './options.ts';
import { type Screen, showProgress } from './progress.ts';
import { stopOnSignals } from './signals.ts';
import { readsTargets } from './targets.ts';
import { VERSION } from './version.ts';

/** What makes a command: its platform's words and its defaults. */
export interface Command extends Defaults {
  readonly name: string;
  /** One sentence for --help. */
  readonly summary: string;
  /** The arguments of the usual run. */
  readonly usage: string;
  readonly reporter: Reporter;
  /** The values of --format, where it has that. */
  readonly formats?: Readonly<Record<string, Reporter>>;
  /** What its platform reads: a plugin's output, bounded; or a document, which is of no use in part. */
  readonly output?: 'document';
  /** What there is to be tested, for --discover. */
  readonly discover?: (aims: readonly Aim[], format: Settings[string]) => string;
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
  /** The formats that tell what was said. */
  readonly conversationIn: readonly string[];
  /** The format whose lines are written as the results come, and how. */
  readonly stream: { readonly format: string; readonly line: (test: TestVerdict, manner: Manner) => string };
}

/** Runs a command from its arguments to its exit. It never returns, and leaves by one door with one report. */
export async function main(command: Command): Promise<never> {
  const reader = command.people === undefined ? (command.output ?? 'platform') : 'people';
  const exit = ({ stdout, stderr = '', exitCode }: Report): never => {
    if (stderr !== '') process.stderr.write(stderr);
    return leave(stdout, exitCode, reader);
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
    const { report, delivery } = await carryOut(command, chose, (failure) => exit(refused(failure)));
    if (delivery === null) return exit(report);
    if (report.stderr !== undefined) process.stderr.write(report.stderr);
    // Before anything that may take time or go wrong: the verdict stands.
    print(report.stdout, reader);
    const told = (lines: string, exitCode: number): Report => ({
      ...(command.people === undefined ? { stdout: lines } : { stdout: '', stderr: lines }),
      exitCode: delivery.plan.isPassive ? exitCode : report.exitCode,
    });
    chose((verdict) => told(`DELIVERY UNKNOWN - ${verdict.parts[0]?.text}\n`, NO_VERDICT));
    const { lines, exitCode } = await delivery.handOver();
    return exit(told(lines, exitCode));
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
): Promise<Carried> {
  const { stop, ended } = stopOnSignals(end);
  const began = nodeWorld.now();
  const { people } = command;
  const told = (stdout: string, exitCode = 0): Carried => ({
    report: { stdout, exitCode: people === undefined ? NO_VERDICT : exitCode },
    delivery: null,
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
  const readsInput = settings['password-stdin'] === true || readsTargets(settings);
  const awaited = readsInput ? STANDARD_INPUT_LATE : 'nobody typed a password';
  const plan = await within(timeoutMs, began, awaited, parseDelivery(common, nodeSources));
  const { aims: planned, upkeep } = await within(timeoutMs, began, awaited, aimsOf(common, command));
  if (settings.discover !== undefined && command.discover !== undefined) {
    return { report: { stdout: `${command.discover(planned, settings.discover)}\n`, exitCode: 0 }, delivery: null };
  }
  const operations = listOf(planned, plan, upkeep?.operations ?? []);
  // Nothing was measured: a platform that runs it so by mistake must not read an OK.
  if (common['what-if'] === true)
    return told(written(operations, 'What if: '), planned.every(isRequest) ? 0 : SOME_WERE_LEFT_OUT);
  if (common.confirm === true) await within(timeoutMs, began, 'nobody answered', askFirst(operations));
  const aims = upkeep === null ? planned : await upkeep.carryOut();
  const requests = aims.map(({ request }) => request).filter((request) => 'policy' in request);
  // There may be none: every server that was found has nothing to be tested.
  const [first] = requests;
  const manner = mannerOf(Math.min(3, (common.verbose as number | undefined) ?? 0), settings);
  const progress = showProgress(aims.length, screenOf(aims.length > 1 || people !== undefined), nodeWorld.now);
  // A platform has waited since the start; to people their own time to type a password is not the server's.
  const from = people === undefined ? began : nodeWorld.now();
  const bounds = boundsOf(requests, common, command, { from, timeoutMs });
  const verdicts = new Map<Aim, Verdict>();
  const aimOf = new Map(aims.map((aim) => [aim.label, aim]));
  const carried = (report: Report): Carried => ({
    report,
    delivery: plan && { plan, handOver: () => handOver(plan, { verdicts, manner, ended: ended() }, stop) },
  });
  try {
    if (aims.length === 1 && first !== undefined) {
      progress.began(aims[0]?.label ?? '');
      const deadline = from + Math.min(timeoutMs, first.plan.timeoutMs);
      const verdict = await run(first, nodeWorld, stop, deadline);
      verdicts.set(aims[0] as Aim, verdict);
      return carried(reporter(people === undefined ? verdict : endedOf(verdict), manner));
    }
    const isStreamed = people !== undefined && settings.format === people.stream.format;
    const lines = isStreamed ? new Lines() : null;
    const verdict = await runAll(aims, bounds, nodeWorld, stop, {
      began: progress.began,
      ended: (label, each) => {
        progress.ended(label, each);
        verdicts.set(aimOf.get(label) as Aim, each);
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
    if (lines === null) return carried(report);
    await lines.written();
    return carried({ ...report, stdout: '' });
  } finally {
    progress.clear();
  }
}

/** What a run comes to: the report, and what is to be done once it is printed. */
interface Carried {
  readonly report: Report;
  readonly delivery: { readonly plan: DeliveryPlan; readonly handOver: () => Promise<HandedOver> } | null;
}

/** What people are told of by the exit code where a run would leave some servers out. */
const SOME_WERE_LEFT_OUT = 1;

function reporterOf({ formats = {}, reporter }: Command, { format }: Settings): Reporter {
  return format === undefined ? reporter : (formats[oneOf('--format', format, Object.keys(formats), '')] as Reporter);
}

/** Of a terminal that does not know how wide it is. */
const USUAL_COLUMNS = 80;

const mannerOf = (verbosity: number, settings: Settings): Manner => ({
  verbosity,
  width: process.stdout.isTTY ? process.stdout.columns || USUAL_COLUMNS : null,
  monitoringContext: settings['monitoring-context'] === true,
  isColoured: process.stdout.isTTY && (process.env.NO_COLOR ?? '') === '',
  // NRPE says that it is there, and not to what kind of client it will answer.
  isNarrow: process.env.NRPE_PROGRAMVERSION !== undefined,
});

/** Where somebody watches, if it is worth it. */
const screenOf = (isLong: boolean): Screen | null =>
  isLong && process.stderr.isTTY
    ? { columns: process.stderr.columns || USUAL_COLUMNS, write: (text) => process.stderr.write(text) }
    : null;

const isRequest = ({ request }: Aim): boolean => 'policy' in request;

/** What would be done, each operation, and what would not. */
const listOf = (aims: readonly Aim[], plan: DeliveryPlan | null, before: readonly string[]): readonly string[] => [
  ...before,
  ...aims.flatMap((aim) => [...operationsAt(aim), ...deliveriesOf(aim, plan)]),
];

function operationsAt({ label, request }: Aim): readonly string[] {
  if ('policy' in request) return operationsOf(request);
  return 'result' in request ? [] : [`not test ${label}: ${request.message}`];
}

const deliveriesOf = ({ addressee }: Aim, plan: DeliveryPlan | null): readonly string[] =>
  addressee === null
    ? []
    : (plan?.destinations ?? []).map(({ name }) => `deliver the result to ${name} for ${nameOf(addressee)}`);

const written = (operations: readonly string[], before: string): string =>
  operations.map((operation) => `${before}${printable(operation, LONGEST_OPERATION)}\n`).join('');

/** Tells what is about to be done, and goes on only when somebody says yes. */
async function askFirst(operations: readonly string[]): Promise<void> {
  const answer = await nodeSources.confirmOnTerminal(`About to\n${written(operations, '  ')}Go on? [y/N] `);
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

/** Those that list candidates have to be whole. */
const LONGEST_MESSAGE = 600;
const NOBODY = {
  server: '',
  port: 0,
  userName: '',
  connectionType: 'tls',
  credential: 'password',
  phase: null,
} as const;

/** What went wrong before there was a result. */
function tell(problem: unknown): Parameters<typeof refuse>[0] {
  const failure = asFailure(problem);
  return {
    phase: failure.phase,
    reason: failure.reason,
    message: printable(failure.message, LONGEST_MESSAGE),
    hint: hintFor(failure.reason, NOBODY),
  };
}
