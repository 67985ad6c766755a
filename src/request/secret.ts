import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { hasControl } from '../pop3/line.ts';
import type { Settings } from './settings.ts';
import type { Sources } from './sources.ts';

/** What is secret, by the name of its option, and its file in systemd's $CREDENTIALS_DIRECTORY (LoadCredential=). */
const SYSTEMD_CREDENTIALS = {
  password: 'pop3-password',
  'oauth-token': 'pop3-oauth-token',
  'oauth-client-secret': 'pop3-oauth-client-secret',
  'oauth-refresh-token': 'pop3-oauth-refresh-token',
  'deliver-password': 'pop3-deliver-password',
  'deliver-token': 'pop3-deliver-token',
  'directory-password': 'pop3-directory-password',
} as const;

export type SecretName = keyof typeof SYSTEMD_CREDENTIALS;
export const SECRET_NAMES = Object.keys(SYSTEMD_CREDENTIALS) as readonly SecretName[];

/**
 * The setting that holds a secret of an ini file, apart from one on the command line, which everyone can see. No option
 * can have this name: it has a blank.
 */
export const iniSetting = (name: SecretName): string => `extra-opts ${name}`;

type Source = (settings: Settings, name: SecretName, sources: Sources) => string | Promise<string>;

/** Where a secret may come from, by what follows its name in the option: a file first. One of them, never two. */
const SOURCES: Readonly<Record<string, Source>> = {
  '-file': (settings, name, { file }) =>
    withoutLastLineEnd(file(`--${name}-file`, settings[`${name}-file`] as string, 'secret')),
  '-env': (settings, name, { environment }) => {
    const variable = settings[`${name}-env`] as string;
    const value = environment(variable);
    if (value !== undefined) return value;
    // The secret itself in the place of the variable's name is not to be repeated.
    const which = /^[A-Z_][A-Z0-9_]*$/.test(variable) ? variable : 'of that name';
    throw new ProbeFailure('configuration', `--${name}-env: there is no variable ${which}`);
  },
  '-stdin': async (_, __, { standardInput }) => withoutLastLineEnd(await standardInput()),
  '': (settings, name) => settings[name] as string,
};

/** The settings a secret may be in. */
export const settingsOf = (name: SecretName): readonly string[] => [
  ...Object.keys(SOURCES).map((suffix) => name + suffix),
  iniSetting(name),
];

/** The one of those that was set, or null. */
export function settingWith(name: SecretName, settings: Settings): string | null {
  const [setting, ...others] = settingsOf(name).filter((each) => settings[each] !== undefined);
  if (others.length > 0) throw usage(`--${[setting, ...others].join(' and --')} contradict each other: give one`);
  return setting ?? null;
}

/**
 * Reads a secret from where it was said to be, else from systemd's credential.
 *
 * @returns null where it is nowhere
 * @throws ProbeFailure `usage` or `configuration`, naming the option and never the secret
 */
export async function readSecret(name: SecretName, settings: Settings, sources: Sources): Promise<Secret | null> {
  const setting = settingWith(name, settings);
  if (setting === iniSetting(name)) return checkedSecret(name, settings[setting] as string, `--${setting}`);
  if (setting !== null) {
    const read = SOURCES[setting.slice(name.length)] as Source;
    return checkedSecret(name, await read(settings, name, sources), `--${setting}`);
  }
  const folder = sources.environment('CREDENTIALS_DIRECTORY') ?? '';
  const path = `${folder}/${SYSTEMD_CREDENTIALS[name]}`;
  if (folder === '' || !sources.exists(path)) return null;
  return checkedSecret(name, withoutLastLineEnd(sources.file('systemd credential', path, 'secret')), path);
}

/** What a message calls the credential of systemd. */
export const systemdCredential = (name: SecretName): string => SYSTEMD_CREDENTIALS[name];

/** Whether a secret was given where everyone on this machine can see it. */
export const isSeen = (settings: Settings): boolean => SECRET_NAMES.some((name) => settings[name] !== undefined);

/** Blanks belong to a secret, wherever they stand; an editor's last line end does not. */
export const withoutLastLineEnd = (content: string): string => content.replace(/\r?\n$/, '');

/**
 * One line of something.
 *
 * @param from what a refusal names
 */
export function checkedSecret(name: SecretName, secret: string, from: string): Secret {
  const what = `the ${name.replace('oauth-', '').replace(/-/g, ' ')}`;
  const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `${from}: ${what} ${why}`);
  if (secret === '') throw refuse('is empty');
  if (/[\r\n]/.test(secret)) throw refuse('is more than one line');
  if (hasControl(secret)) throw refuse('has a control character');
  return new Secret(secret);
}
