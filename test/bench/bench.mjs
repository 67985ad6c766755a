// node test/bench/bench.mjs [--runs N] [--node PATH] [--quick] [--only icinga2|k6]
// Node 20 runs no TypeScript: bench.ts and the harness of the tests are bundled into a temporary file first.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const bundle = join(folder, 'bench.cjs');
await build({
  entryPoints: [join(here, 'bench.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  logLevel: 'error',
  // From where the harness lies it finds what else is ours: ../../dist.
  define: { 'import.meta.url': JSON.stringify(new URL('../support/', import.meta.url)) },
  plugins: [{ name: 'without vitest', setup: leaveOutVitest }],
});
/** @type {{ default: typeof import('./bench.ts') }} */
const { default: bench } = await import(pathToFileURL(bundle).href);
process.exitCode = await bench.main({ here, folder, arguments: process.argv.slice(2) });

/**
 * The harness says in vitest's words what only tests use; without them there is nothing to import.
 * @param {import('esbuild').PluginBuild} build
 */
function leaveOutVitest(build) {
  build.onResolve({ filter: /^vitest$/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
}
