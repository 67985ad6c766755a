import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { hasControl } from '../pop3/line.ts';
import { printable } from '../probe/printable.ts';
import type { Credential } from '../sasl/mechanism.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';

type Source = (settings: Settings, sources: Sources) => string | Promise<string>;

/**
 * The setting that holds the password of an ini file, apart from one on the command line, which everyone can see. No
 * option can have this name: it has a blank.
 */
export const INI_PASSWORD = 'extra-opts password';

/** Where a password may come from, the option first. One of them, never two. */
const PASSWORD_SOURCES: Readonly<Record<string, Source>> = {
  'password-file': (settings, { file }) => file('--password-file', settings['password-file'] as string, 'secret'),
  'password-env': (settings, { environment }) => {
    const name = settings['password-env'] as string;
    const value = environment(name);
    if (value === undefined)
      // The password itself in the place of its name is not to be repeated.
      throw new ProbeFailure(
        'configuration',
        `--password-env: there is no variable ${/^[A-Z_][A-Z0-9_]*$/.test(name) ? name : 'of that name'}`,
      );
    return value;
  },
  'password-stdin': (_, { standardInput }) => standardInput(),
  password: (settings) => settings.password as string,
  [INI_PASSWORD]: (settings) => settings[INI_PASSWORD] as string,
};

/** The settings a password may be in. */
export const PASSWORD_OPTIONS: readonly string[] = Object.keys(PASSWORD_SOURCES);

/**
 * Who logs on. `--mailbox-credential USER` with a password from one source, or `@FILE` with the user name on the
 * first line and the password on the second.
 *
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never the secret
 */
export async function parseCredential(settings: Settings, sources: Sources): Promise<Credential> {
  const given = settings['mailbox-credential'] as string | undefined;
  if (given === undefined || given === '') throw usage('no user: give --mailbox-credential USER (-u) or @FILE');
  const named = PASSWORD_OPTIONS.filter((option) => settings[option] !== undefined);
  if (named.length > 1) throw usage(`--${named.join(' and --')} contradict each other: give one`);
  if (given.startsWith('@')) {
    if (named.length > 0) throw usage(`--mailbox-credential @FILE holds the password already: leave --${named[0]} out`);
    return fromFile('--mailbox-credential', given.slice(1), sources);
  }
  const [option] = named;
  if (option === undefined) {
    // Before anybody is asked for the password of a name that cannot be.
    checkUserName(given, '--mailbox-credential');
    return await unasked(given, settings['client-access-server'] as string, sources);
  }
  const password = await (PASSWORD_SOURCES[option] as Source)(settings, sources);
  const fromLines = option === 'password-file' || option === 'password-stdin';
  return checked(
    { userName: given, password: fromLines ? withoutLastLineEnd(password) : password },
    '--mailbox-credential',
    `--${option}`,
  );
}

/**
 * User name and password from the two lines of a file.
 *
 * @throws ProbeFailure `configuration`
 */
export function fromFile(option: string, path: string, sources: Sources): Credential {
  const lines = withoutLastLineEnd(sources.file(option, path, 'secret')).split(/\r?\n/);
  const [userName = '', password = ''] = lines;
  if (lines.length !== 2) {
    const found = `not ${lines.length} lines`;
    throw new ProbeFailure('configuration', `${path}: the user name on one line, the password on the next, ${found}`);
  }
  return checked({ userName, password }, path, path);
}

/** Where no option says where the password is: systemd's credential, else whoever sits at the terminal. */
async function unasked(userName: string, server: string, sources: Sources): Promise<Credential> {
  const folder = sources.environment('CREDENTIALS_DIRECTORY') ?? '';
  const path = `${folder}/${SYSTEMD_CREDENTIAL}`;
  if (folder !== '' && sources.exists(path)) {
    const password = withoutLastLineEnd(sources.file('systemd credential', path, 'secret'));
    return checked({ userName, password }, '--mailbox-credential', path);
  }
  const shown = `Password for ${printable(userName, LONGEST_SHOWN)} on ${printable(server, LONGEST_SHOWN)}: `;
  const password = await sources.askOnTerminal(shown);
  if (password !== null) return checked({ userName, password }, '--mailbox-credential', 'terminal');
  throw usage(
    'no password: give --password-file, --password-env, --password-stdin, -u @FILE or --extra-opts, ' +
      `set the systemd credential ${SYSTEMD_CREDENTIAL}, or run it on a terminal`,
  );
}

/** The file in systemd's $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=). */
const SYSTEMD_CREDENTIAL = 'pop3-password';
const LONGEST_SHOWN = 100;

/** Blanks belong to a password, wherever they stand; an editor's last line end does not. */
const withoutLastLineEnd = (content: string): string => content.replace(/\r?\n$/, '');

/** @param userFrom, passwordFrom what a refusal names */
function checked(given: { userName: string; password: string }, userFrom: string, passwordFrom: string): Credential {
  const { userName, password } = given;
  checkUserName(userName, userFrom);
  if (password === '') throw refuse(passwordFrom, 'the password is empty');
  if (/[\r\n]/.test(password)) throw refuse(passwordFrom, 'the password is more than one line');
  if (hasControl(password)) throw refuse(passwordFrom, 'the password has a control character');
  return { userName, password: new Secret(password) };
}

function checkUserName(userName: string, from: string): void {
  if (userName === '') throw refuse(from, 'the user name is empty');
  if (hasControl(userName)) throw refuse(from, 'the user name has a control character');
}

const refuse = (from: string, why: string): ProbeFailure => new ProbeFailure('configuration', `${from}: ${why}`);
