import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS, type FaultName, isFaultName } from './faults.ts';
import { DEFAULT_USER, type Sandbox, startSandbox } from './sandbox.ts';

/** What the command needs of its process; tests bring their own. */
export interface Surroundings {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Resolves when SIGTERM or SIGINT arrives. */
  readonly interrupted: Promise<void>;
}

/**
 * Runs pop3_sandbox until it is told to end. Resolves to the exit code: 0, or 3 with one line on stderr for bad input
 * and for what the system refuses (a port taken, a directory not writable).
 */
export async function runSandbox(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    const request = parseRequest(argv);
    await (typeof request === 'string' ? print(surroundings, request) : runUntilToldToEnd(request, surroundings));
    return 0;
  } catch (error) {
    if (!isExpected(error)) throw error;
    surroundings.stderr.write(`pop3_sandbox: ${error.message.replace(/\s*\n\s*/g, ' ')}\n`);
    return 3;
  }
}

interface Request {
  readonly user: string;
  readonly passwordFile: string | null;
  readonly faults: readonly FaultName[];
  readonly ports: { readonly pop3: number; readonly pop3s: number; readonly smtp: number };
  /** Null: a private one, removed at the end. */
  readonly directory: string | null;
  readonly json: boolean;
  readonly untilStdinCloses: boolean;
}

/** What the user can put right; everything else is a bug and keeps its stack. */
class BadInput extends Error {}

const OPTIONS = {
  user: { type: 'string', value: 'NAME', about: `the mailbox's user, default ${DEFAULT_USER}` },
  'password-file': { type: 'string', value: 'FILE', about: 'holds the password, default a random one' },
  fault: { type: 'string', value: 'NAME', multiple: true, about: 'go wrong in this way; repeatable' },
  'list-faults': { type: 'boolean', about: 'print the faults and end' },
  'pop3-port': { type: 'string', value: 'PORT', about: 'POP3 with STLS, default any free port' },
  'pop3s-port': { type: 'string', value: 'PORT', about: 'POP3 over TLS, default any free port' },
  'smtp-port': { type: 'string', value: 'PORT', about: 'SMTP into the mailbox, default any free port' },
  directory: {
    type: 'string',
    value: 'DIR',
    about: 'for ca.pem and password, default a private one removed at the end',
  },
  json: { type: 'boolean', about: 'print one line of JSON' },
  'until-stdin-closes': { type: 'boolean', about: 'end when standard input does' },
  help: { type: 'boolean', short: 'h', about: 'print this and end' },
} as const;

function parseRequest(argv: readonly string[]): Request | string {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false });
  if (values.help) return describeUsage();
  if (values['list-faults']) return listFaults();
  return {
    user: parseUser(values.user ?? DEFAULT_USER),
    passwordFile: values['password-file'] ?? null,
    faults: (values.fault ?? []).map(parseFault),
    ports: {
      pop3: parsePort('--pop3-port', values['pop3-port']),
      pop3s: parsePort('--pop3s-port', values['pop3s-port']),
      smtp: parsePort('--smtp-port', values['smtp-port']),
    },
    directory: values.directory ?? null,
    json: values.json ?? false,
    untilStdinCloses: values['until-stdin-closes'] ?? false,
  };
}

async function runUntilToldToEnd(request: Request, surroundings: Surroundings): Promise<void> {
  const { user, faults, ports } = request;
  const password =
    request.passwordFile === null ? randomBytes(12).toString('base64url') : await readPassword(request.passwordFile);
  const sandbox = await startSandbox({ user, password, faults, ports });
  try {
    const directory = await openDirectory(request.directory);
    try {
      const files = { caFile: join(directory, 'ca.pem'), passwordFile: join(directory, 'password') };
      await writePrivately(files.caFile, sandbox.caCertificate);
      await writePrivately(files.passwordFile, `${password}\n`);
      await print(surroundings, request.json ? describeInJson(sandbox, files) : describe(sandbox, files, faults));
      await Promise.race([
        surroundings.interrupted,
        ...(request.untilStdinCloses ? [untilClosed(surroundings.stdin)] : []),
      ]);
    } finally {
      if (request.directory === null) await rm(directory, { recursive: true, force: true });
    }
  } finally {
    await sandbox.close();
  }
}

interface Files {
  readonly caFile: string;
  readonly passwordFile: string;
}

function describeInJson({ pop3Port, pop3sPort, smtpPort, user, address }: Sandbox, files: Files): string {
  return `${JSON.stringify({ host: '127.0.0.1', pop3Port, pop3sPort, smtpPort, user, address, ...files })}\n`;
}

function describe(sandbox: Sandbox, files: Files, faults: readonly FaultName[]): string {
  const { user, address, pop3Port, pop3sPort, smtpPort } = sandbox;
  const secrets = `-u ${quote(user)} --password-file ${quote(files.passwordFile)} --ca-file ${quote(files.caFile)}`;
  const mail = `--mail-to ${quote(address)} --smtp-server 127.0.0.1 --smtp-port ${smtpPort}`;
  const rows = [
    ['POP3', `127.0.0.1:${pop3Port} (STLS)`],
    ['POP3 over TLS', `127.0.0.1:${pop3sPort}`],
    ['SMTP', `127.0.0.1:${smtpPort} (STARTTLS), delivers to ${address}`],
    ['user', user],
    ['password in', files.passwordFile],
    ['CA certificate', files.caFile],
    ...faults.map((name) => ['fault', `${name}: ${FAULTS[name].about}`] as const),
  ] as const;
  return [
    'A mail server with one mailbox is listening. Ctrl-C ends it.',
    '',
    ...rows.map(([name, value]) => `  ${name.padEnd(16)}${value}`),
    '',
    'Try the logon (over TLS from the start: -S and the other port), then the whole round trip:',
    '',
    `  check_pop3 -H 127.0.0.1 -p ${pop3Port} ${secrets} --light-mode`,
    `  check_pop3 -H 127.0.0.1 -S -p ${pop3sPort} ${secrets} --light-mode`,
    `  check_pop3 -H 127.0.0.1 -p ${pop3Port} ${secrets} --full-test ${mail}`,
    '',
  ].join('\n');
}

function describeUsage(): string {
  const rows = Object.entries(OPTIONS).map(([name, option]) => {
    const short = 'short' in option ? `-${option.short}, ` : '';
    const value = 'value' in option ? ` ${option.value}` : '';
    return `  ${`${short}--${name}${value}`.padEnd(24)}${option.about}`;
  });
  return [
    'Usage: pop3_sandbox [OPTION]...',
    'A mail server on 127.0.0.1 with one mailbox, POP3 and SMTP, to try a probe on.',
    '',
    ...rows,
    '',
    'Ends with 0 on SIGTERM and SIGINT, with 3 when it cannot start.',
    '',
  ].join('\n');
}

function listFaults(): string {
  return Object.entries(FAULTS)
    .map(([name, { about }]) => `${name.padEnd(20)}${about}\n`)
    .join('');
}

function parseFault(name: string): FaultName {
  if (isFaultName(name)) return name;
  throw new BadInput(`no fault is called ${JSON.stringify(name)}, see --list-faults`);
}

function parsePort(option: string, value = '0'): number {
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value);
  throw new BadInput(`${option} takes a number from 0 to 65535, not ${JSON.stringify(value)}`);
}

function parseUser(user: string): string {
  if (user !== '' && !hasControls(user)) return user;
  throw new BadInput('--user takes a name without control characters');
}

async function readPassword(file: string): Promise<string> {
  const password = (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  if (password !== '' && !hasControls(password)) return password;
  throw new BadInput(`${file} does not hold a password: one line without control characters`);
}

/** No client can send them: RFC 1939 §3 leaves lines and NUL no way to be quoted. */
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

async function openDirectory(directory: string | null): Promise<string> {
  if (directory === null) return mkdtemp(join(tmpdir(), 'pop3_sandbox-'));
  const path = resolve(directory);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Made anew: an older file's mode, or where a link leads, is not ours to inherit. */
async function writePrivately(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { mode: 0o600, flag: 'wx' });
}

function print({ stdout }: Surroundings, text: string): Promise<void> {
  return new Promise((resolve) => {
    stdout.once('error', () => resolve()); // nobody reads: that is no reason to fail
    stdout.write(text, () => resolve());
  });
}

function untilClosed(stdin: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) stdin.once(event, () => resolve());
    stdin.resume();
  });
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function isExpected(error: unknown): error is Error {
  if (error instanceof BadInput) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('ERR_PARSE_ARGS') || (error instanceof Error && 'syscall' in error);
}
