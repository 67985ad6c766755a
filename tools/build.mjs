/**
 * Builds dist/: one self-contained, executable file per command, and the man pages. docs/decisions/0002 tells why each
 * option is there.
 *
 *   node tools/build.mjs            everything
 *   node tools/build.mjs check_pop3 one command
 */
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { buildK6 } from './k6-bundles.mjs';
import { PAGES, pageOf } from './man.mjs';

/** What is built: the file in dist/ is named after its entry. */
const ENTRIES = [
  'plugins/nagios/check_pop3.ts',
  'plugins/cmdlet/Test-PopConnectivity.ts',
  'plugins/sandbox/pop3_sandbox.ts',
  'plugins/zabbix/zabbix_pop3.ts',
  'plugins/scom/scom_pop3.ts',
  'plugins/checkmk/checkmk_pop3.ts',
  'plugins/prtg/prtg_pop3.ts',
  'plugins/telegraf/telegraf_pop3.ts',
];

/** Third-party libraries few runs use: kept in the file as compressed text, so that the others do not parse them. */
const ON_DEMAND = ['yargs', 'nodemailer/lib/smtp-connection', './records.ts', './client.ts'];

/** @param {string} entry */
function commandOf(entry) {
  return basename(entry, '.ts');
}

/**
 * @param {string} command
 * @returns {import('esbuild').BuildOptions}
 */
function recipe(command) {
  return {
    bundle: true,
    platform: 'node',
    // A plain script: it runs without an extension, under any, and under either `type` of a package.json above it.
    format: 'iife',
    // Old enough for an old Node to read as far as the line that tells it is too old.
    target: 'es2018',
    mainFields: ['module', 'main'],
    // The full emoji and East Asian tables, for the width of an ASCII help text, take longer than a logon.
    alias: { 'string-width': './tools/string-width.mjs' },
    define: { 'import.meta.url': 'HERE' },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    banner: { js: banner(command) },
  };
}

/**
 * What stands before the bundle: a `require` for Node's own modules, the only ones left to require, taken from where
 * both kinds of script find it; on a Node that lacks that, one UNKNOWN line. Node 10 and later read as far as
 * that; an older one stops at the syntax behind it.
 *
 * @param {string} command
 */
function banner(command) {
  const tooOld = `"POP3 UNKNOWN - ${command} needs Node.js 20.19, 22.3 or later, this is "+process.version`;
  return [
    '#!/usr/bin/env node',
    `if(!process.getBuiltinModule){console.log(${tooOld});process.exit(3)}`,
    'var HERE="file:///",require=function(name){return process.getBuiltinModule(name)};',
  ].join('\n');
}

/**
 * Turns `import('yargs')` into a bundle of yargs, and `import('….md')` into that page: as compressed text, unpacked
 * when it is first asked for.
 *
 * @type {import('esbuild').Plugin}
 */
const onDemand = {
  name: 'on-demand',
  setup(host) {
    const library = new RegExp(`^(${ON_DEMAND.join('|')})$`);
    host.onResolve({ filter: library }, ({ path, kind, resolveDir }) => {
      if (kind !== 'dynamic-import') return null;
      return { path: path.startsWith('.') ? join(resolveDir, path) : path, namespace: 'library' };
    });
    host.onLoad({ filter: /.*/, namespace: 'library' }, async ({ path }) => ({
      contents: `
        const module = { exports: {} };
        new Function('module', 'exports', 'require', 'HERE', ${unpacking(await bundled(path))})(module, module.exports, require, HERE);
        export default module.exports.default;`,
    }));
    host.onLoad({ filter: /\.md$/ }, ({ path }) => ({ contents: `export default ${unpacking(readFileSync(path))};` }));
  },
};

/**
 * An expression whose value is a text that is kept compressed.
 *
 * @param {Uint8Array} text
 */
function unpacking(text) {
  const packed = brotliCompressSync(text).toString('base64');
  return `require('zlib').brotliDecompressSync(Buffer.from('${packed}', 'base64')).toString()`;
}

/**
 * A library as one script of the old kind.
 *
 * @param {string} library
 */
async function bundled(library) {
  const { outputFiles, metafile } = await build({
    ...recipe(library),
    banner: {},
    format: 'cjs',
    minify: true,
    write: false,
    metafile: true,
    stdin: { contents: `export { default } from '${library}';`, resolveDir: process.cwd() },
  });
  for (const input of Object.keys(metafile.inputs)) fetchedOnDemand.add(input);
  return outputFiles[0]?.contents ?? new Uint8Array(0);
}

/**
 * The licences of what a bundle holds, as comments at its end: the file is copied alone.
 *
 * @param {Iterable<string>} inputs paths of the bundled files
 */
function notices(inputs) {
  const packages = new Set(Array.from(inputs, (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[0]));
  packages.delete(undefined);
  return Array.from(packages, String).sort().map(notice).join('');
}

/** @param {string} folder */
function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const text = file === undefined ? `Licence: ${license}` : readFileSync(`${folder}/${file}`, 'utf8').trim();
  return `\n/*\n${name} ${version}\n\n${text.replaceAll('*/', '* /')}\n*/\n`;
}

/** @type {Set<string>} */
const fetchedOnDemand = new Set();

const wanted = process.argv.slice(2);
mkdirSync('dist', { recursive: true });
for (const entry of ENTRIES.filter((each) => wanted.length === 0 || wanted.includes(commandOf(each)))) {
  const outfile = `dist/${commandOf(entry)}`;
  fetchedOnDemand.clear();
  const options = { ...recipe(commandOf(entry)), entryPoints: [entry], outfile, plugins: [onDemand] };
  const { metafile } = await build({ ...options, metafile: true });
  appendFileSync(outfile, notices([...Object.keys(metafile.inputs), ...fetchedOnDemand]));
  chmodSync(outfile, 0o755);
}
await buildK6(wanted, notices);
for (const command of Object.keys(PAGES).filter((each) => wanted.length === 0 || wanted.includes(each))) {
  writeFileSync(`dist/${command}.1`, await pageOf(command));
}
