import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Program, pathOf } from './installed.ts';
import { type Circumstances, type Ended, launch } from './run.ts';

/** What builds the runner, for `missing()`. */
export const GO: Program = { name: 'Go', commands: ['go'], install: 'Go 1.25 or later: apt-get install golang-go' };

/** The same with its race detector, which is no pure Go. */
export const GO_RACE: Program = {
  name: 'Go with gcc',
  commands: ['go', 'gofmt', 'gcc'],
  install: 'Go 1.25 or later, and gcc: apt-get install golang-go gcc',
};

/** One sample, as k6's JSON output has it. */
export interface Point {
  readonly metric: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** What a run came to: test/k6/runner/plan.go. */
export interface Report<T> {
  readonly vus: number;
  readonly iterations: number;
  readonly failed: number;
  readonly interrupted: number;
  readonly errors: readonly string[];
  readonly verdict: string | null;
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuSeconds: number;
  readonly initSeconds: number;
  readonly peakMB: number;
  readonly goroutinesLeft: number;
  readonly socketsLeft: number;
  readonly options?: { readonly thresholds?: unknown; readonly [name: string]: unknown };
  readonly setup?: unknown;
  readonly results: readonly Result<T>[];
}

/** What one iteration came to. */
export interface Result<T> {
  readonly vu: number;
  readonly iteration: number;
  readonly returned?: T;
  readonly thrown?: string;
  readonly tookMs: number;
}

/** A run in k6's JavaScript engine. */
export interface Ran<T> extends Ended {
  readonly report: Report<T>;
  readonly points: readonly Point[];
  /** Everything it wrote anywhere. */
  readonly written: string;
}

const MODULE = new URL('../k6/', import.meta.url).pathname;
const EXTENSION = new URL('../../plugins/k6/xk6-pop3/', import.meta.url).pathname;
const CACHE = new URL('../../.cache/k6/', import.meta.url).pathname;

/**
 * The program test/k6/runner, built where it was not yet; its modules come from the Go module proxy, once.
 *
 * @param options of `go build`
 */
export function builtRunner(...options: readonly string[]): Promise<string> {
  const key = options.join(' ');
  const made = builds.get(key) ?? build(options);
  builds.set(key, made);
  return made;
}

/** Tests that run at once wait for the same. */
const builds = new Map<string, Promise<string>>();

async function build(options: readonly string[]): Promise<string> {
  const folder = join(CACHE, fingerprint(options));
  const program = join(folder, 'runner');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    const unfinished = `${program}.${process.pid}`;
    const argv = ['build', ...options, '-o', unfinished, './runner'];
    await promisify(execFile)(pathOf('go'), argv, { cwd: MODULE });
    renameSync(unfinished, program);
  }
  return program;
}

/** Of all it is made of. */
function fingerprint(options: readonly string[]): string {
  const hash = createHash('sha256').update(options.join(' '));
  for (const folder of [MODULE, EXTENSION]) {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    for (const file of files.filter((name) => /(?:^|\/)(?:go\.(?:mod|sum)|[^/]*(?<!_test)\.go)$/.test(name)))
      hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * Runs a script for k6 in k6's JavaScript engine, over the transport of xk6-pop3.
 *
 * @param argv options of the runner, and the script
 * @param buildOptions options of `go build`
 * @throws where the script could not be run
 */
export async function runScript<T = unknown>(
  argv: readonly string[],
  circumstances: Circumstances = {},
  buildOptions: readonly string[] = [],
): Promise<Ran<T>> {
  const folder = mkdtempSync(join(tmpdir(), 'pop-connectivity-k6-'));
  try {
    const [out, reported] = [join(folder, 'points.json'), join(folder, 'report.json')];
    const files = ['--results', '--out', out, '--report', reported];
    const ended = await launch(await builtRunner(...buildOptions), [...files, ...argv], circumstances);
    if (ended.code !== 0) throw new Error(`the runner ended with ${ended.code}: ${ended.stderr}`);
    const [told, measured] = [readFileSync(reported, 'utf8'), readFileSync(out, 'utf8')];
    const written = [ended.stdout, ended.stderr, told, measured].join('\n');
    return { ...ended, report: JSON.parse(told), points: pointsOf(measured), written };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const pointsOf = (lines: string): readonly Point[] =>
  lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'Point')
    .map(({ metric, data: { value, tags } }) => ({ metric, value, tags }));
