import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';

/** What came of a process. */
export interface Ended {
  /** The exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The first line, without its line end. */
  readonly line: string;
  readonly tookMs: number;
}

export interface Circumstances {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The Node to run it with; by default it is run as a command, by its own first line. */
  readonly node?: string;
  /** Called once it runs. */
  readonly meanwhile?: (child: ChildProcess) => void;
}

/** The built plugin. */
export const CHECK_POP3 = new URL('../../dist/check_pop3', import.meta.url).pathname;

/** The built command for people. */
export const TEST_POP_CONNECTIVITY = new URL('../../dist/Test-PopConnectivity', import.meta.url).pathname;

/** Passwords and the like that no output of any run may hold, in clear or in base 64. */
const secrets = new Set<string>();

export function keepSecret(secret: string): string {
  secrets.add(secret);
  return secret;
}

/**
 * Runs a command to its end, and holds it to what every run promises: an exit code from 0 to 3, nothing on stderr,
 * exactly one line (unless `-v` or help was asked for), one bar at most, and none of the secrets.
 */
export async function run(command: string, argv: readonly string[], circumstances: Circumstances = {}): Promise<Ended> {
  const ended = await launch(command, argv, circumstances);
  const { code, stdout, stderr } = ended;
  const about = `${argv.join(' ')}\n${stdout}${stderr}`;
  expect([0, 1, 2, 3], about).toContain(code);
  expect(stderr, about).toBe('');
  const isVerdict = !argv.some((argument) => /^(-h|-V|--help|--version)$/.test(argument));
  if (isVerdict) {
    expect(stdout, about).toMatch(/^POP3 (OK|WARNING|CRITICAL|UNKNOWN) - /);
    expect(stdout.split('|').length, about).toBeLessThanOrEqual(2);
    expect(ended.line.includes('|'), about).toBe(stdout.includes('|'));
    expect(['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'].indexOf(stdout.split(' ')[1] as string), about).toBe(code);
    if (!argv.some((argument) => argument.startsWith('-v') || argument === '--verbose')) {
      expect(stdout.split('\n'), about).toHaveLength(2);
      expect(Buffer.byteLength(stdout), about).toBeLessThanOrEqual(1024);
    }
  }
  for (const secret of secrets) expectAbsent(secret, stdout);
  return ended;
}

/** In clear, and in base 64 at whatever alignment: the middle digits are the same for each. */
function expectAbsent(secret: string, output: string): void {
  expect(output).not.toContain(secret);
  for (let before = 0; before < 3; before++) {
    const encoded = Buffer.from('\0'.repeat(before) + secret).toString('base64');
    expect(output).not.toContain(encoded.slice(before === 0 ? 0 : 4, -4));
  }
}

/** Runs a command to its end, whatever that is. */
export async function launch(command: string, argv: readonly string[], circumstances: Circumstances): Promise<Ended> {
  const { stdin, env = {}, cwd, node, meanwhile } = circumstances;
  const began = performance.now();
  const [file, args] = node === undefined ? [command, argv] : [node, [command, ...argv]];
  const child = spawn(file, [...args], { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => undefined);
  if (stdin !== 'stays open') child.stdin.end(stdin ?? '');
  meanwhile?.(child);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  child.stdin.destroy();
  return { code, stdout, stderr, line: stdout.split('\n', 1)[0] as string, tookMs: performance.now() - began };
}

/** A private folder, removed when the tests of the file are over. */
export function privateFolder(): {
  readonly path: string;
  readonly file: (name: string, content: string, mode?: number) => string;
  /** A new folder for the state of runs. */
  readonly state: () => string;
} {
  const path = mkdtempSync(join(tmpdir(), 'pop-connectivity-test-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    file(name, content, mode = 0o600) {
      const file = join(path, name);
      writeFileSync(file, content, { mode });
      return file;
    },
    state: () => mkdtempSync(join(path, 'state-')),
  };
}
