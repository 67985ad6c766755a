import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { build } from 'esbuild';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { runSandbox } from '../../src/sandbox/command.ts';
import { FAULTS } from '../../src/sandbox/faults.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { dial, dialTls } from './client.ts';

/** The command inside this process, with its streams in our hands. */
function start(...argv: string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  let interrupt = () => {};
  const interrupted = new Promise<void>((resolve) => {
    interrupt = resolve;
  });
  const exitCode = runSandbox(argv, { stdin, stdout, stderr, interrupted });
  onTestFinished(async () => {
    interrupt();
    await exitCode;
  });
  const printed = new Promise<string>((resolve) => stdout.once('data', (bytes) => resolve(String(bytes))));
  return { stdin, stderr, printed, exitCode, interrupt };
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'command-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('one line of JSON tells ports and paths once everything listens; the files go when it ends', async () => {
  const { printed, exitCode, interrupt } = start('--json');
  const line = await printed;
  expect(line).toMatch(/^\{.*\}\n$/);
  const told = JSON.parse(line);
  expect(Object.keys(told)).toEqual('host pop3Port pop3sPort smtpPort user address caFile passwordFile'.split(' '));
  const password = (await readFile(told.passwordFile, 'utf8')).trimEnd();
  const caCertificate = await readFile(told.caFile, 'utf8');
  const client = await dialTls({ ...told, caCertificate } as Sandbox);
  await client.line();
  await client.ask(`USER ${told.user}`);
  expect(await client.ask(`PASS ${password}`)).toBe('+OK Logged in.\r\n');
  for (const file of [told.caFile, told.passwordFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(dirname(told.caFile))).mode & 0o777).toBe(0o700);
  interrupt();
  expect(await exitCode).toBe(0);
  expect(existsSync(dirname(told.caFile))).toBe(false);
});

test('for people it shows a check_pop3 command line to paste, and the faults', async () => {
  const directory = join(await scratch(), "it's here");
  const { printed, exitCode, interrupt } = start('--directory', directory, '--fault', 'drip', '--user', 'a b');
  const text = await printed;
  const quoted = `'${join(directory, 'password').replace("'", "'\\''")}'`;
  expect(text).toContain(`  check_pop3 -H 127.0.0.1 -p `);
  expect(text).toContain(` -u 'a b' --password-file ${quoted} --ca-file `);
  expect(text).toContain(`drip: ${FAULTS.drip.about}`);
  interrupt();
  expect(await exitCode).toBe(0);
  expect((await readdir(directory)).sort()).toEqual(['ca.pem', 'password']); // a directory of the user's own stays
});

test('it takes the password from a file, and overwrites no file a link leads to', async () => {
  const directory = await scratch();
  const precious = join(directory, 'precious');
  await writeFile(precious, 'untouched');
  await symlink(precious, join(directory, 'ca.pem'));
  await writeFile(join(directory, 'mine'), 'my own\n');
  const { printed } = start('--json', '--directory', directory, '--password-file', join(directory, 'mine'));
  const { passwordFile } = JSON.parse(await printed);
  expect(await readFile(passwordFile, 'utf8')).toBe('my own\n');
  expect(await readFile(precious, 'utf8')).toBe('untouched');
});

test('it ends when its standard input does, if asked to', async () => {
  const { stdin, printed, exitCode } = start('--json', '--until-stdin-closes');
  await printed;
  stdin.end();
  expect(await exitCode).toBe(0);
});

test('--list-faults prints every fault with its line, and --help every option', async () => {
  const faults = start('--list-faults');
  const listed = await faults.printed;
  expect(listed.trimEnd().split('\n')).toHaveLength(Object.keys(FAULTS).length);
  expect(listed).toMatch(/^never-greet {2,}accepts the connection/m);
  expect(await faults.exitCode).toBe(0);
  const help = start('-h');
  expect(await help.printed).toMatch(/^Usage: pop3_sandbox .*--until-stdin-closes /s);
  expect(await help.exitCode).toBe(0);
});

test.each([
  [['--nope'], /^pop3_sandbox: Unknown option '--nope'.*\n$/],
  [['--user'], /^pop3_sandbox: Option '--user <value>' argument missing\n$/],
  [['extra'], /^pop3_sandbox: Unexpected argument 'extra'.*\n$/],
  [['--fault', 'nope'], /^pop3_sandbox: no fault is called "nope", see --list-faults\n$/],
  [['--pop3-port', '65536'], /^pop3_sandbox: --pop3-port takes a number from 0 to 65535, not "65536"\n$/],
  [['--smtp-port', 'smtp'], /^pop3_sandbox: --smtp-port takes a number/],
  [['--user', 'a\nb'], /^pop3_sandbox: --user takes a name without control characters\n$/],
  [['--password-file', '/nonexistent/file'], /^pop3_sandbox: ENOENT: .*\n$/],
  [['--password-file', '/dev/null'], /^pop3_sandbox: \/dev\/null does not hold a password/],
  [['--directory', '/dev/null'], /^pop3_sandbox: (EEXIST|ENOTDIR): .*\n$/],
])('%j is refused in one line, exit 3', async (argv, line) => {
  const { stderr, exitCode } = start(...argv);
  expect(await exitCode).toBe(3);
  expect(String(stderr.read())).toMatch(line);
});

test('a port that is taken is told in one line, exit 3', async () => {
  const { pop3Port } = JSON.parse(await start('--json').printed);
  const { stderr, exitCode } = start('--smtp-port', String(pop3Port));
  expect(await exitCode).toBe(3);
  expect(String(stderr.read())).toBe(`pop3_sandbox: listen EADDRINUSE: address already in use 127.0.0.1:${pop3Port}\n`);
});

let bundle = '';

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'command-test-bundle-'));
  bundle = join(directory, 'pop3_sandbox.cjs');
  await build({
    entryPoints: [join(import.meta.dirname, '../../plugins/sandbox/pop3_sandbox.ts')],
    bundle: true,
    platform: 'node',
    format: 'iife',
    mainFields: ['module', 'main'],
    target: 'es2018',
    outfile: bundle,
  });
  return () => rm(directory, { recursive: true });
});

test.each(['SIGTERM', 'SIGINT'] as const)('the bundled command serves, and ends with 0 on %s', async (signal) => {
  const child = spawn(process.execPath, [bundle, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let complaints = '';
  child.stderr.on('data', (bytes) => {
    complaints += bytes;
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (bytes) => resolve(String(bytes))));
  const told = JSON.parse(line);
  const client = await dial(told.pop3Port); // it is held open: the end must not wait for it
  expect(await client.line()).toBe('+OK POP3 sandbox ready.\r\n');
  await dial(told.smtpPort);
  const began = performance.now();
  child.kill(signal);
  expect(await exited).toBe(0);
  expect(performance.now() - began).toBeLessThan(1000);
  expect(complaints).toBe('');
  expect(existsSync(told.caFile)).toBe(false);
});
