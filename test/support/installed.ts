import { accessSync, constants, statSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Something from outside this project that a test needs, and how to get it. */
export type Program = {
  readonly name: string; // as it reads in "Dovecot is not installed"
  readonly commands: readonly string[]; // all of them are needed
  readonly install: string; // what the reader types
};

/**
 * Whether a group of tests has to be left out, said in the one line that declares it:
 *
 *     describe.skipIf(missing(DOVECOT))('a real Dovecot', () => { … });
 *
 * What is missing is printed. With REQUIRE_REAL=1 nothing may be left out: this throws, and the test file fails.
 */
export function missing(...programs: readonly Program[]): boolean {
  const absent = programs.filter((program) => !program.commands.every(installed));
  const reasons = absent.map((program) => `not run: ${program.name} is not installed (${program.install})`);
  if (reasons.length === 0) {
    return false;
  }
  const { REQUIRE_REAL } = process.env;
  if (REQUIRE_REAL === '1') {
    throw new Error(`REQUIRE_REAL=1, yet ${reasons.join('; ')}`);
  }
  writeSync(process.stderr.fd, `${reasons.join('\n')}\n`); // the console would put vitest's own heading above it
  return true;
}

/** The full path of a command, or null; also found are those that Debian keeps outside an ordinary user's PATH. */
export function installed(command: string): string | null {
  if (command.includes('/')) {
    return isExecutable(command) ? resolve(command) : null;
  }
  const { PATH = '' } = process.env;
  const folders = [...PATH.split(':').filter((folder) => folder !== ''), ...UNLISTED];
  return folders.map((folder) => join(folder, command)).find(isExecutable) ?? null;
}

/** Like `installed`, for what `missing` has already asked for. */
export function pathOf(command: string): string {
  const path = installed(command);
  if (path === null) {
    throw new Error(`${command} is not installed`);
  }
  return path;
}

const UNLISTED: readonly string[] = [
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
  '/usr/lib/dovecot',
  '/usr/libexec/dovecot', // Fedora, Alpine
  '/usr/lib/nagios/plugins',
  '/usr/lib64/nagios/plugins',
  '/usr/lib/monitoring-plugins',
  '/usr/lib/cyrus/bin',
  '/usr/local/go/bin',
  '/usr/lib/courier',
];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
