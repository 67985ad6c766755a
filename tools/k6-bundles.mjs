/**
 * Builds the modules for k6 into dist/: one self-contained file for each transport, and the types of both. tools/build.mjs
 * calls it.
 */
import { appendFileSync, copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

const ENTRIES = ['plugins/k6/pop3.k6.ts', 'plugins/k6/pop3.xk6.ts'];

/**
 * @param {readonly string[]} wanted names of files in dist/, without `.js`; none for all
 * @param {(inputs: Iterable<string>) => string} notices the licences of what was bundled
 */
export async function buildK6(wanted, notices) {
  for (const entry of ENTRIES) {
    const name = basename(entry, '.ts');
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const outfile = `dist/${name}.js`;
    const { metafile } = await build({ ...k6Recipe(), entryPoints: [entry], outfile, metafile: true });
    appendFileSync(outfile, notices(Object.keys(metafile.inputs)));
    copyFileSync('plugins/k6/pop3.d.ts', `dist/${name}.d.ts`);
  }
}

/**
 * How a module for k6 is made, also one of the tests'.
 *
 * @returns {import('esbuild').BuildOptions}
 */
export function k6Recipe() {
  return {
    bundle: true,
    platform: 'neutral',
    // Of what k6 reads only this has exports and is no CommonJS.
    format: 'esm',
    // This much is certain of every k6, but for async generators, and we have none: were esbuild to know that, it would
    // wrap every `yield*`, of which the engine is made, for their sake.
    target: 'es2018',
    supported: { 'async-generator': true },
    mainFields: ['module', 'main'],
    external: ['k6', 'k6/*'],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [saslprep],
  };
}

/**
 * The library keeps the code points of Unicode 3.2 in a Buffer, or for browsers in half a megabyte; as ranges they are
 * a few thousand octets.
 *
 * @type {import('esbuild').Plugin}
 */
const saslprep = {
  name: 'saslprep',
  setup(host) {
    host.onResolve({ filter: /^@mongodb-js\/saslprep$/ }, ({ path }) => ({ path, namespace: 'saslprep' }));
    host.onLoad({ filter: /.*/, namespace: 'saslprep' }, ({ path }) => {
      const require = createRequire(import.meta.url);
      const folder = dirname(require.resolve(path));
      const tables = Object.entries(require(join(folder, 'code-points-src.js'))).map(
        ([name, points]) => `${name}: within(${JSON.stringify(rangesOf(points))})`,
      );
      const contents = `
        import saslprep from ${JSON.stringify(join(folder, 'index.js'))};
        const within = (ranges) => ({
          get(point) {
            let [low, high] = [0, ranges.length / 2];
            while (low < high) {
              const middle = (low + high) >> 1;
              if (point > ranges[2 * middle + 1]) low = middle + 1;
              else high = middle;
            }
            return 2 * low < ranges.length && point >= ranges[2 * low];
          },
        });
        const TABLES = { ${tables.join(', ')} };
        export default (text, options) => saslprep(TABLES, text, options);`;
      return { contents, resolveDir: folder };
    });
  },
};

/**
 * First and last of each run of numbers, one after the other.
 *
 * @param {ReadonlySet<number>} points
 */
function rangesOf(points) {
  /** @type {number[]} */
  const ranges = [];
  for (const point of [...points].sort((a, b) => a - b)) {
    if (ranges[ranges.length - 1] === point - 1) ranges[ranges.length - 1] = point;
    else ranges.push(point, point);
  }
  return ranges;
}
