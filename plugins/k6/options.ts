import secrets from 'k6/secrets';
import { ProbeFailure, usage } from '../../src/dialogue/failure.ts';
import { iniSetting } from '../../src/request/secret.ts';
import type { Settings } from '../../src/request/settings.ts';
import type { Sources } from '../../src/request/sources.ts';
import type { Tags } from '../../src/runtimes/k6/transport.ts';

/** What a script gives, unread. */
export type Given = Readonly<Record<string, unknown>>;

/** One option of a script: the setting it is, which has the same name in every command, and what it takes. */
interface Option {
  readonly setting: string;
  readonly takes: 'text' | 'number' | 'flag' | 'list' | 'days';
}

const text = (setting: string): Option => ({ setting, takes: 'text' });
const number = (setting: string): Option => ({ setting, takes: 'number' });
const flag = (setting: string): Option => ({ setting, takes: 'flag' });
const list = (setting: string): Option => ({ setting, takes: 'list' });

/** Every option there is. Where there are two names, the first is the one messages have. */
const OPTIONS: Readonly<Record<string, Option>> = {
  server: text('client-access-server'),
  clientAccessServer: text('client-access-server'),
  address: text('address'),
  port: number('port-client-access-server'),
  portClientAccessServer: number('port-client-access-server'),
  connectionType: text('connection-type'),
  ipv4: flag('ipv4'),
  ipv6: flag('ipv6'),
  userName: text('mailbox-credential'),
  mailboxCredential: text('mailbox-credential'),
  // Not the settings of the command line, which is seen by everybody: a script is a file.
  password: text(iniSetting('password')),
  passwordEnv: text('password-env'),
  oauthToken: text(iniSetting('oauth-token')),
  oauthTokenEnv: text('oauth-token-env'),
  auth: text('auth'),
  trustAnySslCertificate: flag('trust-any-ssl-certificate'),
  trustAnySSLCertificate: flag('trust-any-ssl-certificate'),
  ca: text('ca-file'),
  pin: list('pin'),
  sni: text('sni'),
  clientCertificate: text('client-certificate'),
  clientKey: text('client-key'),
  timeout: number('timeout'),
  perConnectionTimeout: number('per-connection-timeout'),
  lightMode: flag('light-mode'),
  certificateDays: { setting: 'certificate-days', takes: 'days' },
  expect: text('expect'),
  severity: list('severity'),
};

/** Secrets by their names in `k6/secrets`, and where the secret itself then goes. */
const SECRETS: Readonly<Record<string, string>> = { passwordSecret: 'password', oauthTokenSecret: 'oauthToken' };

/** The full test sends mail, which k6 has no way to. */
const OF_FULL_TEST =
  /^(?:fullTest|split|mail(?:To|From)|smtp[A-Z]\w*|send(?:Via|Url)|keepStale|markerKeyFile|stateDir)$/;

/** What means something for one logon and its verdict, and nothing for a session. */
const OF_VERDICT: readonly string[] = ['certificateDays', 'expect', 'severity', 'lightMode'];

/**
 * Reads what a script gives into settings.
 *
 * @param forSession whether it is for `open()`
 * @throws ProbeFailure `usage`, naming the option and never a secret
 */
export function settingsFrom(given: unknown, forSession: boolean): Settings {
  if (typeof given !== 'object' || given === null) throw usage('takes an object of options');
  const settings: Record<string, string | true | readonly string[]> = {};
  for (const [name, value] of Object.entries(given as Given)) {
    if (value === undefined || value === null || name === 'tags' || isOf(SECRETS, name)) continue;
    if (OF_FULL_TEST.test(name)) throw usage(`${name} is of the full test, which sends mail: inside k6 there is none`);
    const option = isOf(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined) throw usage(`there is no option ${JSON.stringify(name)}`);
    if (forSession && OF_VERDICT.includes(name)) throw usage(`${name} has no meaning for open()`);
    const read = READ[option.takes](value);
    if (read === null) throw usage(`${name} takes ${NEEDED[option.takes]}`);
    if (settings[option.setting] !== undefined) throw usage(`${name} is given under two names`);
    // What is false is as good as not given.
    if (read !== false) settings[option.setting] = read;
  }
  if (String(settings['mailbox-credential'] ?? '').startsWith('@'))
    throw usage('userName takes a name: inside k6 there are no files');
  return settings;
}

const isOf = (table: Readonly<Record<string, unknown>>, name: string): boolean => Object.hasOwn(table, name);

const READ: Readonly<Record<Option['takes'], (value: unknown) => string | boolean | readonly string[] | null>> = {
  text: (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null),
  // From __ENV even a number is a text.
  number: (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null),
  flag: (value) => (typeof value === 'boolean' ? value : null),
  list: (value) => {
    const values = Array.isArray(value) ? value : [value];
    return values.every((each) => typeof each === 'string') ? values : null;
  },
  // A session goes well or not: there is no warning between.
  days: (value) => (/^\d{1,5}$/.test(String(value)) ? `${value},${value}` : null),
} as const;

const NEEDED: Readonly<Record<Option['takes'], string>> = {
  text: 'a text',
  number: 'a number',
  flag: 'true or false',
  list: 'a text, or a list of texts',
  days: 'a whole number of days',
};

/**
 * The same settings with the secrets that were given by name, from `k6/secrets`; where k6 was started without a source
 * of secrets, from the variable of that name.
 *
 * @throws ProbeFailure `configuration` where they are nowhere; `usage`
 */
export async function withSecrets(settings: Settings, given: Given, sources: Sources): Promise<Settings> {
  const filled: Record<string, Settings[string]> = { ...settings };
  for (const [name, option] of Object.entries(SECRETS)) {
    const secret = given[name];
    if (secret === undefined || secret === null) continue;
    if (typeof secret !== 'string' || secret === '') throw usage(`${name} takes the name of a secret`);
    const { setting } = OPTIONS[option] as Option;
    if (given[option] !== undefined) throw usage(`${name} and ${option} contradict each other: give one`);
    filled[setting] = await secretOf(secret, name, sources);
  }
  const isGiven = Object.keys(filled).some((name) => /(?:password|oauth-token)(?:-env)?$/.test(name));
  const isByCertificate = String(filled.auth ?? '').toLowerCase() === 'external';
  if (!isGiven && !isByCertificate && filled['mailbox-credential'] !== undefined) {
    throw usage('no password: give passwordSecret, passwordEnv or password');
  }
  return filled;
}

async function secretOf(name: string, option: string, sources: Sources): Promise<string> {
  let why: string;
  try {
    return await secrets.get(name);
  } catch (error) {
    const { message } = error as { readonly message?: unknown };
    why = String(message ?? error);
  }
  const variable = sources.environment(name);
  if (variable !== undefined) return variable;
  // The secret itself in the place of its name is not to be repeated.
  const isName = /^[A-Z_][A-Z0-9_]*$|^[a-z]+(?:[_-][a-z0-9]+)+$/.test(name);
  const which = isName ? `${name} (${why})` : 'of that name';
  throw new ProbeFailure('configuration', `${option}: there is neither a secret nor a variable ${which}`);
}

/** The tags of a call. */
export function tagsFrom({ tags = {} }: Given): Tags {
  const isTags =
    typeof tags === 'object' &&
    tags !== null &&
    !Array.isArray(tags) &&
    Object.values(tags).every((value) => typeof value === 'string');
  if (!isTags) throw usage('tags takes an object of texts');
  return tags as Tags;
}

/** A message of a request in the words of a script: `--ca-file` is `ca`. */
export const inScriptsWords = (message: string): string =>
  message
    .replace(/--(extra-opts [a-z-]+|[a-z][a-z0-9-]*)/g, (whole, setting: string) => NAMES[setting] ?? whole)
    .replace(/ \(-[A-Za-z]\)| or @FILE\b|; -v+ shows [^;]*$/g, '')
    .replace(/ with -p\b/g, ' with port')
    .replace(/the command line or the file it names/g, 'the options of the call');

/** The names scripts have for settings. */
const NAMES: Readonly<Record<string, string>> = Object.entries(OPTIONS)
  .reverse()
  .reduce<Record<string, string>>((names, [name, { setting }]) => {
    names[setting] = name;
    return names;
  }, {});
