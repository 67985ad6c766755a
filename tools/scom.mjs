/**
 * Writes the management packs of plugins/scom, from docs/reasons.md and the PowerShell scripts beside them.
 *
 *   node tools/scom.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { load } from './load.mjs';
import { unixPack } from './scom-unix.mjs';
import { windowsPack } from './scom-windows.mjs';
import { written } from './scom-xml.mjs';

/** @typedef {import('./scom-windows.mjs').Ingredients} Ingredients */

/** Where it belongs, and what belongs there. */
export const FILES = /** @type {Readonly<Record<string, (ingredients: Ingredients) => string>>} */ ({
  'plugins/scom/PopConnectivity.xml': (ingredients) => written(windowsPack(ingredients), ABOUT),
  'plugins/scom/PopConnectivity.Unix.xml': (ingredients) => written(unixPack(ingredients), ABOUT),
});

const ABOUT = `  Made by tools/scom.mjs. Leave this file as it is, so that you can replace it by a newer one; what is yours goes into
  overrides, in a pack of your own.`;

/** @returns {Promise<Ingredients>} */
export async function ingredients() {
  const { METRIC_NAMES, propertyOf } = await load(`
    export { METRIC_NAMES } from './src/verdict/metric.ts';
    export { propertyOf } from './src/reporters/scom.ts';`);
  /** @type {readonly string[]} */
  const phases = METRIC_NAMES.filter((/** @type {string} */ name) => name.startsWith('time_')).map(
    (/** @type {string} */ name) => name.slice('time_'.length),
  );
  return {
    reasons: readFileSync('docs/reasons.md', 'utf8'),
    testScript: readFileSync('plugins/scom/Test-PopServers.ps1', 'utf8'),
    findScript: readFileSync('plugins/scom/Find-PopServers.ps1', 'utf8'),
    counters: ['Latency', ...phases].map((counter) => ({ counter, property: propertyOf(counter) })),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const given = await ingredients();
  for (const [path, write] of Object.entries(FILES)) writeFileSync(path, write(given));
}
