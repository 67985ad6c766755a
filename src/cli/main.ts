import { nodeSources } from '../credentials/sources.ts';
import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { hintFor } from '../probe/hint.ts';
import { printable } from '../probe/printable.ts';
import { PLAIN_MANNER, type Report, type Reporter } from '../reporters/reporter.ts';
import { type Defaults, parseRequest, parseTimeout, type Request } from '../request/request.ts';
import type { Settings } from '../request/settings.ts';
import { run } from '../run/run.ts';
import { operationsOf } from '../run/what-if.ts';
import { leave } from '../runtimes/node/leave.ts';
import { nodeWorld } from '../runtimes/node/world.ts';
import { refuse } from '../verdict/judge.ts';
import { parseArguments } from './arguments.ts';
import { expandExtraOpts } from './expand.ts';
import { explain } from './explain.ts';
import { helpFor } from './help.ts';
import { stopOnSignals } from './signals.ts';
import { VERSION } from './version.ts';

/** What makes a command: its platform's words and its defaults. */
export interface Command extends Defaults {
  readonly name: string;
  /** One sentence for --help. */
  readonly summary: string;
  readonly reporter: Reporter;
  /** Arguments, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
}

/** Runs a command from its arguments to its exit. It never returns, and leaves by one door with one report. */
export async function main(command: Command): Promise<never> {
  const exit = ({ stdout, exitCode }: Report): never => leave(stdout, exitCode);
  const refused = (problem: unknown): Report => command.reporter(refuse(tell(problem)), PLAIN_MANNER);
  // Platforms take what a plugin writes to stderr for its output; Node writes its warnings there.
  process.removeAllListeners('warning');
  // Node would end with 1, and that reads as WARNING.
  process.on('uncaughtException', (problem) => exit(refused(problem)));
  process.on('unhandledRejection', (problem) => exit(refused(problem)));
  try {
    return exit(await carryOut(command, (failure) => exit(refused(failure))));
  } catch (problem) {
    return exit(refused(problem));
  }
}

/** `--help` and `--version` exit as UNKNOWN: a platform that runs them by mistake must not read an OK. */
const NO_VERDICT = 3;

async function carryOut(command: Command, end: (failure: ProbeFailure) => void): Promise<Report> {
  const stop = stopOnSignals(end);
  const began = nodeWorld.now();
  const given = parseArguments(process.argv.slice(2));
  const settings =
    given['extra-opts'] === undefined || given.help === true ? given : await expand(given, command, began);
  if (settings.help === true) {
    return { stdout: await helpFor(command), exitCode: NO_VERDICT };
  }
  if (settings.explain !== undefined)
    return { stdout: await explain(settings.explain as string), exitCode: NO_VERDICT };
  if (settings.version === true)
    return { stdout: `${command.name} v${VERSION} (pop-connectivity ${VERSION})\n`, exitCode: NO_VERDICT };
  const timeoutMs = parseTimeout(settings, command);
  const awaited = settings['password-stdin'] === true ? STANDARD_INPUT_LATE : 'nobody typed a password';
  const request = await within(timeoutMs, began, awaited, parseRequest(settings, command, nodeSources));
  if (request.whatIf) {
    // Nothing was measured: a platform that runs it so by mistake must not read an OK.
    const lines = operationsOf(request).map((operation) => `What if: ${printable(operation, LONGEST_OPERATION)}\n`);
    return { stdout: lines.join(''), exitCode: NO_VERDICT };
  }
  if (request.confirm) await within(timeoutMs, began, 'nobody answered', askFirst(request));
  const verdict = await run(request, nodeWorld, stop, began + timeoutMs);
  return command.reporter(verdict, { ...PLAIN_MANNER, verbosity: request.verbosity });
}

/** Tells what is about to be done, and goes on only when somebody says yes. */
async function askFirst(request: Request): Promise<void> {
  const operations = operationsOf(request).map((operation) => `  ${printable(operation, LONGEST_OPERATION)}\n`);
  const answer = await nodeSources.confirmOnTerminal(`About to\n${operations.join('')}Go on? [y/N] `);
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
