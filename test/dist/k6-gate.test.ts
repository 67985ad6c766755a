import { readFileSync } from 'node:fs';
import { build, transform } from 'esbuild';
import { describe, expect, test } from 'vitest';

/** That the modules for k6 hold nothing k6 does not have: no other import, no syntax, no global, no method. */

describe.each(['pop3.k6', 'pop3.xk6'])('dist/%s.js', (name) => {
  const code = readFileSync(`dist/${name}.js`, 'utf8');

  test('imports modules of k6 alone, and one extension', async () => {
    const { metafile } = await build({
      stdin: { contents: code },
      bundle: true,
      format: 'esm',
      write: false,
      metafile: true,
      external: ['k6', 'k6/*'],
    });
    const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
    const transport = name === 'pop3.k6' ? 'k6/x/tcp' : 'k6/x/pop3';
    expect(new Set(imported)).toEqual(new Set(['k6/crypto', 'k6/execution', 'k6/metrics', 'k6/secrets', transport]));
  });

  test('has nothing that k6 lacks', async () => {
    expect(await lackingIn(code)).toEqual([]);
  });

  test('exports what its types say', async () => {
    const { metafile } = await build({
      stdin: { contents: code },
      bundle: true,
      format: 'esm',
      write: false,
      metafile: true,
      external: ['k6', 'k6/*'],
    });
    const [output] = Object.values(metafile.outputs);
    const types = readFileSync(`dist/${name}.d.ts`, 'utf8');
    const declared = [...types.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, each]) => each);
    expect(output?.exports.sort()).toEqual(declared.sort());
  });

  test('carries the licence of what is in it', () => {
    expect(/@mongodb-js\/saslprep [\d.]+\n/.test(code)).toBe(true);
  });
});

describe('the gate sees', () => {
  test.each([
    ['an async generator', 'export async function* each() { yield 1; }'],
    ['an async method that is one', 'export const it = { async *each() { yield 1; } };'],
    ['for await', 'export async function all(of) { for await (const each of of) each(); }'],
    ['a private field', 'export class Held { #it = 1; get it() { return this.#it; } }'],
    ['an optional chain', 'export const it = (given) => given?.it;'],
    ['a class field', 'export class Held { it = 1; }'],
    ['a literal BigInt', 'export const it = 1n;'],
    ['Buffer', 'export const it = Buffer.from("");'],
    ['process', 'export const it = () => process.env;'],
    ['a global by its object', 'export const it = () => globalThis.performance.now();'],
    ['performance', 'export const it = () => performance.now();'],
    ['URL', 'export const it = () => new URL("");'],
    ['TextDecoder, which k6 2.0 lacks', 'export const it = () => new TextDecoder();'],
    ['structuredClone', 'export const it = (given) => structuredClone(given);'],
    ['Intl', 'export const it = () => new Intl.Segmenter();'],
    ['WeakRef', 'export const it = (given) => new WeakRef(given);'],
    ['queueMicrotask', 'export const it = (given) => queueMicrotask(given);'],
    ['a class of Unicode', 'export const it = (given) => /\\p{Cc}/u.test(given);'],
    ['the same as a text', 'export const it = new RegExp("\\\\p{Cc}", "u");'],
    ['flag v', 'export const it = new RegExp("[a]", "v");'],
    ['Object.groupBy', 'export const it = (given) => Object.groupBy(given, String);'],
    ['Promise.withResolvers', 'export const it = () => Promise.withResolvers();'],
    ['union of sets', 'export const it = (a, b) => a.union(b);'],
    ['a dynamic import', 'export const it = () => import("k6/x/tcp");'],
  ])('%s', async (_, code) => {
    expect(await lackingIn(code)).not.toEqual([]);
  });

  test('and nothing in what k6 has', async () => {
    const code =
      'import { Rate } from "k6/metrics"; const process = 1; export const it = async (a) => [Rate, process, setTimeout, ' +
      'crypto, __ENV, new Map(), Uint8Array.of(1), await a.process, { performance: 1 }, /(?<n>a)/.exec(a)];';
    expect(await lackingIn(code.replace('(?<n>a)', 'a'))).toEqual([]);
  });
});

/** What of a module k6 does not have. */
async function lackingIn(code: string): Promise<readonly string[]> {
  const [modern, old] = await Promise.all([
    transform(code, { target: 'esnext', format: 'esm' }),
    transform(code, { target: 'es2018', format: 'esm', supported: { bigint: true } }),
  ]);
  const bare = (await transform(code, { minifyWhitespace: true, legalComments: 'none' })).code;
  const { code: marked } = await transform(code, { define: FORBIDDEN, format: 'esm' });
  return [
    ...(modern.code === old.code ? [] : ['syntax beyond ES2018']),
    ...(/\b\d+n\b/.test(bare) ? ['a literal BigInt'] : []),
    ...new Set([...marked.matchAll(/LACKING_(\w+)/g)].map(([, name]) => name as string)),
    ...LACKING_WORDS.filter((pattern) => pattern.test(bare)).map(String),
  ];
}

/** Of the language and of Web and Node, by k6 2.0: what its engine has as globals. */
const OF_K6 = new Set(
  (
    'Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp ' +
    'Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError globalThis JSON Math ' +
    'ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array Float32Array Float64Array ' +
    'Uint8ClampedArray BigUint64Array BigInt64Array DataView Map BigInt Set WeakMap WeakSet Proxy Reflect decodeURI ' +
    'decodeURIComponent encodeURI encodeURIComponent escape unescape isFinite isNaN console crypto setTimeout ' +
    'setInterval clearTimeout clearInterval'
  ).split(' '),
);

/** Everything Node has as a global that k6 has not, marked where it is meant as a global. */
const FORBIDDEN: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ...Object.getOwnPropertyNames(globalThis).filter((name) => !OF_K6.has(name) && /^[A-Za-z]\w*$/.test(name)),
    ...['require', 'module', 'exports', '__dirname', '__filename', 'window', 'self', 'XMLHttpRequest'],
  ].flatMap((name) => [
    [name, `LACKING_${name}`],
    [`globalThis.${name}`, `LACKING_${name}`],
  ]),
);

/** Members of what k6 has, later than what it has; and what it refuses wherever it stands. */
const LACKING_WORDS: readonly RegExp[] = [
  /\\p\{/i,
  /\basync(?: function)? ?\*/,
  /\bfor await\b/,
  /new RegExp\((?:"[^"]*"|`[^`]*`|[^,()]*),"[a-z]*[dv][a-z]*"\)/,
  /\bimport\(/,
  /\basyncIterator\b/,
  /\.groupBy\(/,
  /\.withResolvers\(/,
  /Promise\.try\(/,
  /\.(?:union|intersection|difference|symmetricDifference|isSubsetOf|isSupersetOf|isDisjointFrom)\(/,
  /\.(?:fromHex|toHex|fromBase64|toBase64|setFromHex|setFromBase64)\(/,
  /\.(?:isWellFormed|toWellFormed)\(/,
  /\.captureStackTrace\(/,
];
