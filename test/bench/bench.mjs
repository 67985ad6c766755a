// node test/bench/bench.mjs [--runs N] [--node PATH] [--quick]
// Node 20 runs no TypeScript: bench.ts and the Dovecot harness are bundled into a temporary file first.
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
});
/** @type {{ default: typeof import('./bench.ts') }} */
const { default: bench } = await import(pathToFileURL(bundle).href);
process.exitCode = await bench.main({ here, folder, arguments: process.argv.slice(2) });
