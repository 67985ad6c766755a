import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A program's output, whatever its exit code says. */
const outputOf = (program: string, ...argv: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      join(ROOT, 'node_modules/.bin', program),
      argv,
      { cwd: folder, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve(`${stdout}\n${stderr}`);
      },
    );
  });

let folder = '';
const put = (path: string, content: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lint-rules-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const DIALOGUE = `
declare const wire: { ask(command: string): Generator<string, string, void>; name: string };
declare function login(): Generator<string, void, void>;
declare const lines: string[];
declare function accept(reply: string): string;
`;

/** What a file in the protocol's own folders holds, and whether the linter is to object. */
const CALLS: readonly (readonly [string, string, boolean])[] = [
  ['a dialogue called without yield*', 'login();', true],
  ['a method that is a dialogue', "wire.ask('STAT');", true],
  ['one in an arrow function', 'const later = () => { login(); };\nexport { later };', true],
  ['one behind a condition', 'if (lines.length > 0) login();', true],
  ['one in a finally', 'try { yield* login(); } finally { login(); }', true],
  ['one with an optional link', "wire?.ask('STAT');", true],
  ['yield* before it', 'yield* login();', false],
  ['its value used', "const reply = yield* wire.ask('STAT');\nlines.push(reply);", false],
  ['handed on', 'return login();', false],
  ['a list that is filled', "lines.push('x');", false],
  ['what is accepted for its refusal alone', "accept(yield* wire.ask('STAT'));", false],
];

const IN = ['src/dialogue', 'src/sasl', 'src/pop3'];
const callFile = (where: string, at: number): string => `${where}/bare-${at}.ts`;

/** Who may import whom: design §2, "Imports run one way". */
const IMPORTS: readonly (readonly [string, string, boolean])[] = [
  ['src/dialogue', './secret.ts', true],
  ['src/dialogue', '../sasl/mechanism.ts', false],
  ['src/dialogue', '../pop3/wire.ts', false],
  ['src/dialogue', 'node:net', false],
  ['src/sasl', '../dialogue/bytes.ts', true],
  ['src/sasl', '../pop3/wire.ts', false],
  ['src/sasl', 'node:crypto', false],
  ['src/pop3', '../dialogue/bytes.ts', true],
  ['src/pop3', '../sasl/mechanism.ts', true],
  ['src/pop3', '../probe/drive.ts', false],
  ['src/pop3', '../runtimes/node/link.ts', false],
  ['src/pop3', 'node:tls', false],
  ['src/pop3', 'net', false],
  ['src/probe', '../pop3/visit.ts', true],
  ['src/probe', '../verdict/judge.ts', false],
  ['src/probe', '../credentials/sources.ts', false],
  ['src/probe', 'node:dns', false],
  ['src/verdict', '../probe/result.ts', true],
  ['src/verdict', '../reporters/nagios.ts', false],
  ['src/verdict', 'node:fs', false],
  ['src/reporters', '../verdict/judge.ts', true],
  ['src/reporters', '../runtimes/node/leave.ts', false],
  ['src/reporters', '../cli/main.ts', false],
  ['src/reporters', 'node:fs', false],
  ['src/request', '../verdict/range.ts', true],
  ['src/request', '../cli/options.ts', false],
  ['src/request', '../run/run.ts', false],
  ['src/runtimes/node', '../../probe/world.ts', true],
  ['src/runtimes/node', 'node:net', true],
  ['src/runtimes/node', '../../run/run.ts', false],
  ['src/credentials', '../request/sources.ts', true],
  ['src/credentials', '../cli/main.ts', false],
  ['src/sweep', '../probe/world.ts', true],
  ['src/sweep', '../verdict/judge.ts', false],
  ['src/sweep', 'node:net', false],
  ['src/run', '../sweep/sweep.ts', true],
  ['src/run', '../probe/probe.ts', true],
  ['src/run', '../cli/main.ts', false],
  ['src/run', '../../plugins/nagios/check_pop3.ts', false],
  ['src/cli', '../run/run.ts', true],
  ['src/cli', '../../plugins/nagios/check_pop3.ts', false],
  ['plugins/nagios', '../../src/cli/main.ts', true],
  ['plugins/nagios', '../../test/support/transcript.ts', false],
];
const importFile = (where: string, at: number): string => `${where}/import-${at}.ts`;

describe('the linter', () => {
  interface Diagnostic {
    readonly category: string;
    readonly severity: string;
    readonly message: string;
    readonly location: { readonly path: string | { readonly file?: string } | null };
  }
  let diagnostics: readonly Diagnostic[] = [];
  const pathOf = ({ location }: Diagnostic): string => {
    const path = typeof location.path === 'string' ? location.path : (location.path?.file ?? '');
    return path.replace(/\\/g, '/');
  };
  const against = (file: string): readonly Diagnostic[] => diagnostics.filter((each) => pathOf(each).endsWith(file));
  const isBareCall = ({ category, message }: Diagnostic): boolean =>
    category === 'plugin' && message.includes('without `yield*` does nothing');
  const isImport = ({ category }: Diagnostic): boolean => category === 'lint/style/noRestrictedImports';

  beforeAll(async () => {
    for (const each of ['biome.json', '.gitignore', 'tools/lint']) {
      cpSync(join(ROOT, each), join(folder, each), { recursive: true });
    }
    for (const where of [...IN, 'src/probe', 'src/runtimes/node']) {
      for (const [at, [, body]] of CALLS.entries()) {
        put(
          callFile(where, at),
          `${DIALOGUE}export function* visit(): Generator<string, unknown, void> {\n${body}\n}\n`,
        );
      }
    }
    for (const [at, [where, from]] of IMPORTS.entries()) {
      put(importFile(where, at), `import { x } from '${from}';\nexport const y = x;\n`);
    }
    const output = await outputOf('biome', 'lint', '--reporter=json', '--max-diagnostics=none', '.');
    const json = output.split('\n').find((line) => line.startsWith('{')) ?? output.slice(output.indexOf('{'));
    diagnostics = (JSON.parse(json) as { diagnostics: Diagnostic[] }).diagnostics;
  });

  test.each(IN.flatMap((where) => CALLS.map(([what, , refused], at) => [where, what, refused, at] as const)))(
    'in %s: %s: refused %s',
    (where, _, refused, at) => {
      const found = against(callFile(where, at)).filter(isBareCall);
      expect(found).toHaveLength(refused ? 1 : 0);
      for (const { severity } of found) expect(severity).toBe('error');
    },
  );

  test.each(['src/probe', 'src/runtimes/node'])('in %s a bare call is nobody’s business', (where) => {
    expect(CALLS.flatMap((_, at) => against(callFile(where, at)).filter(isBareCall))).toEqual([]);
  });

  test.each(IMPORTS.map(([where, from, allowed], at) => [where, from, allowed, at] as const))(
    '%s imports %s: allowed %s',
    (where, _, allowed, at) => {
      const found = against(importFile(where, at)).filter(isImport);
      expect(found).toHaveLength(allowed ? 0 : 1);
      for (const { severity } of found) expect(severity).toBe('error');
    },
  );
});

/** What the inner ring may not touch: design §2. */
const GLOBALS: readonly (readonly [string, string])[] = [
  ['Buffer', "export const x = Buffer.from('x');"],
  ['URL', "export const x = new URL('pop3://x');"],
  ['setTimeout', 'export const x = setTimeout(() => undefined, 1);'],
  ['process', 'export const x = process.env;'],
  ['performance', 'export const x = performance.now();'],
  ['console', "console.log('x');\nexport {};"],
  ['TextEncoder', 'export const x = new TextEncoder();'],
  ['atob', "export const x = atob('eA==');"],
  ['fetch', "export const x = fetch('x');"],
  ['crypto', 'export const x = crypto.randomUUID();'],
  ['a module of Node', "import { connect } from 'node:net';\nexport const x = connect;"],
  ['require', "export const x = require('net');"],
  ['an async generator', 'export async function* x(): AsyncGenerator<number> {\n  yield 1;\n}'],
  ['Array.prototype.flat, later than ES2017', 'export const x = [[1]].flat();'],
  ['Object.fromEntries, later than ES2017', 'export const x = Object.fromEntries([]);'],
];

const PLAIN = `export function* x(): Generator<number, string, void> {
  yield new Map([[1, 2]]).get(1) ?? 0;
  return String(Uint8Array.from([1]).length).padStart(3);
}
export const y = async (): Promise<string> => await Promise.resolve('y');
`;

describe('the compiler, in the inner ring', () => {
  let output = '';

  beforeAll(async () => {
    for (const [at, [, content]] of GLOBALS.entries()) put(`core/global-${at}.ts`, `${content}\n`);
    // With Node's types within reach, as in the repository: they must not be taken.
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    output = await compiled('core');
  });
  const compiled = async (where: string): Promise<string> => {
    put(`${where}/package.json`, '{ "type": "module" }\n');
    put(`${where}/tsconfig.json`, JSON.stringify({ extends: join(ROOT, 'tsconfig.core.json'), include: ['*.ts'] }));
    return await outputOf('tsc', '-p', `${where}/tsconfig.json`, '--pretty', 'false');
  };

  test.each(GLOBALS.map(([what], at) => [what, at] as const))('has no %s', (_, at) => {
    expect(output).toMatch(new RegExp(`global-${at}\\.ts\\([0-9,]+\\): error TS\\d+`));
  });

  // What it lacks is told of no file.
  test('has no async generator without a type either', async () => {
    put('untyped/x.ts', 'export async function* x() {\n  yield 1;\n}\n');
    expect(await compiled('untyped')).toMatch(/error TS2318: Cannot find global type 'Async\w+'/);
  });

  test('takes a generator, a Map, octets, async and await', async () => {
    put('plain/x.ts', PLAIN);
    expect(await compiled('plain')).not.toContain('error');
  });
});
