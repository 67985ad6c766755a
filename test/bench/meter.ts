import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What one process cost: seconds, and octets that were resident at the most. */
export type Cost = { readonly wall: number; readonly cpu: number; readonly memory: number };
export type Measurement = Cost & { readonly status: number; readonly output: string };

/** Runs commands one at a time, by measure.py, and tells what each cost. */
export type Meter = { measure(argv: readonly string[]): Promise<Measurement>; stop(): void };

/** @param limitS how long a single run may take */
export function startMeter(python: string, script: string, limitS: number): Meter {
  const { PATH = '' } = process.env;
  const child: ChildProcess = spawn(python, [script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH, LC_ALL: 'C.UTF-8', HOME: '/nonexistent' }, // nobody's NODE_OPTIONS, PERL5LIB or .curlrc
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) {
    throw new Error('a child without pipes');
  }
  const answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    async measure(argv) {
      stdin.write(`${JSON.stringify({ argv, limit: limitS })}\n`);
      const answer = await answers.next();
      if (answer.done === true) {
        throw new Error('measure.py has ended early');
      }
      return JSON.parse(answer.value) as Measurement;
    },
    stop: () => stdin.end(),
  };
}

export function medians(costs: readonly Cost[]): Cost {
  return {
    wall: median(costs.map(({ wall }) => wall)),
    cpu: median(costs.map(({ cpu }) => cpu)),
    memory: median(costs.map(({ memory }) => memory)),
  };
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle - 1)] ?? Number.NaN)) / 2;
}

/** For whoever watches. */
export function progress(text: string): void {
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[K${text}`);
  }
}
