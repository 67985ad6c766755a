import { resolve } from 'node:path';
import { build } from 'esbuild';
import { k6Recipe } from '../../tools/k6-bundles.mjs';
import { type Point, type Report, runScript } from './k6-runner.ts';
import type { Circumstances } from './run.ts';

/** What came of a script. */
export interface Came<T> extends Pick<Report<T>, 'options' | 'setup'> {
  readonly iterations: Report<T>['results'];
  readonly samples: readonly Point[];
  /** What it said on the console. */
  readonly console: string;
}

/** Runs a script for k6 in k6's JavaScript engine, over the transport of xk6-pop3. */
export async function inEngine<T>(argv: readonly string[], circumstances: Circumstances = {}): Promise<Came<T>> {
  const { report, points, stderr } = await runScript<T>(argv, circumstances);
  return { ...report, iterations: report.results, samples: points, console: stderr };
}

/** Bundles a script of the tests for the engine, with what it uses of Node made of what k6 has. */
export async function bundleForEngine(entry: string, outfile: string): Promise<void> {
  const { plugins = [], ...recipe } = k6Recipe();
  const shim = resolve('test/support/k6-node.ts');
  await build({
    ...recipe,
    entryPoints: [entry],
    outfile,
    define: { 'import.meta.url': '""' },
    inject: [shim],
    plugins: [
      ...plugins,
      {
        name: 'node',
        setup(host) {
          host.onResolve({ filter: /^node:(?:fs|crypto)$|\/runtimes\/node\/hashing\.ts$/ }, () => ({ path: shim }));
        },
      },
    ],
  });
}
