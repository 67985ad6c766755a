import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { hasControl } from '../pop3/line.ts';
import { printable } from '../probe/printable.ts';
import type { PasswordCredential } from '../sasl/mechanism.ts';
import { checkedSecret, readSecret, settingWith, systemdCredential, withoutLastLineEnd } from './secret.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';

/**
 * Who logs on. `--mailbox-credential USER` with a password from one source, or `@FILE` with the user name on the
 * first line and the password on the second.
 *
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never the secret
 */
export async function parseCredential(settings: Settings, sources: Sources): Promise<PasswordCredential> {
  const given = parseUserName(settings);
  if (given.startsWith('@')) {
    const named = settingWith('password', settings);
    if (named !== null) throw usage(`--mailbox-credential @FILE holds the password already: leave --${named} out`);
    return fromFile('--mailbox-credential', given.slice(1), sources);
  }
  // Before anybody is asked for the password of a name that cannot be.
  checkUserName(given, '--mailbox-credential');
  const password =
    (await readSecret('password', settings, sources)) ??
    (await asked(given, settings['client-access-server'] as string, sources));
  return { kind: 'password', userName: given, password };
}

/** The user as it was given: a name, or `@` and a file. */
export function parseUserName(settings: Settings): string {
  const given = settings['mailbox-credential'] as string | undefined;
  if (given === undefined || given === '') throw usage('no user: give --mailbox-credential USER (-u) or @FILE');
  return given;
}

/**
 * User name and password from the two lines of a file.
 *
 * @throws ProbeFailure `configuration`
 */
export function fromFile(option: string, path: string, sources: Sources): PasswordCredential {
  const lines = withoutLastLineEnd(sources.file(option, path, 'secret')).split(/\r?\n/);
  const [userName = '', password = ''] = lines;
  if (lines.length !== 2) {
    const found = `not ${lines.length} lines`;
    throw new ProbeFailure('configuration', `${path}: the user name on one line, the password on the next, ${found}`);
  }
  checkUserName(userName, path);
  return { kind: 'password', userName, password: checkedSecret('password', password, path) };
}

/** Where nothing says where the password is: whoever sits at the terminal. */
async function asked(userName: string, server: string, sources: Sources): Promise<PasswordCredential['password']> {
  const shown = `Password for ${printable(userName, LONGEST_SHOWN)} on ${printable(server, LONGEST_SHOWN)}: `;
  const password = await sources.askOnTerminal(shown, userName);
  if (password !== null) return checkedSecret('password', password, 'terminal');
  throw usage(
    'no password: give --password-file, --password-env, --password-stdin, -u @FILE or --extra-opts, ' +
      `set the systemd credential ${systemdCredential('password')}, or run it on a terminal`,
  );
}

const LONGEST_SHOWN = 100;

/** @param from what a refusal names */
export function checkUserName(userName: string, from: string): void {
  const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `${from}: the user name ${why}`);
  if (userName === '') throw refuse('is empty');
  if (hasControl(userName)) throw refuse('has a control character');
}

/**
 * Who logs on to something other than the mailbox: a user with a password from one source, or `@FILE`. Nobody is asked.
 *
 * @returns null where the option was not given
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never the secret
 */
export async function parseOther(
  whose: 'deliver' | 'directory',
  settings: Settings,
  sources: Sources,
): Promise<PasswordCredential | null> {
  const [option, secret] = [`${whose}-credential`, `${whose}-password`] as const;
  const given = settings[option] as string | undefined;
  const named = settingWith(secret, settings);
  if (given === undefined) {
    // We would be nobody there, and the password be for nothing.
    if (named !== null) throw usage(`--${named} needs --${option}`);
    return null;
  }
  if (given.startsWith('@')) {
    if (named !== null) throw usage(`--${option} @FILE holds the password already: leave --${named} out`);
    return fromFile(`--${option}`, given.slice(1), sources);
  }
  checkUserName(given, `--${option}`);
  // RFC 4513 §5.1.2: to a directory a name without a password is nobody, and looks like a success.
  const password = await readSecret(secret, settings, sources);
  if (password === null) throw usage(`no password for --${option}: give --${secret}-file or -env, or @FILE`);
  return { kind: 'password', userName: given, password };
}
