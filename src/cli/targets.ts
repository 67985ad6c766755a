import { ProbeFailure, usage } from '../dialogue/failure.ts';
import { showsProxyPassword } from '../request/proxy.ts';
import { iniSetting, type SecretName } from '../request/secret.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import { settingOf } from './arguments.ts';
import { merge } from './expand.ts';
import { type Option, optionsOf } from './options.ts';

/** One server to test. */
export interface Target {
  /** What it is called in the output; one of a kind. */
  readonly label: string;
  /** As it was given. */
  readonly server: string;
  /** What is set for it: its own settings, then those for all. */
  readonly settings: Settings;
}

/**
 * The servers that are to be tested: every `-H`, with commas between several, and every entry of `--targets`. One that
 * is there twice is tested once.
 *
 * @param given the settings for all
 * @param command whose options an entry may set
 * @param found whom a directory or DNS names in place of `-H`, or null
 * @throws ProbeFailure `usage` or `configuration`, with the file and the entry, never with a value
 */
export async function targetsOf(
  given: Settings,
  command: string,
  sources: Sources,
  found: readonly Settings[] | null = null,
): Promise<readonly Target[]> {
  const { [SERVER]: servers, targets: files, ...common } = given;
  const named = found ?? listed(servers).flatMap((value) => serversIn(value).map((server) => ({ [SERVER]: server })));
  const entries: Pick<Entry, 'settings' | 'off'>[] = named.map((settings) => ({ settings, off: [] }));
  if (readsTargets(given) && given['password-stdin'] !== undefined)
    throw usage('--targets - and --password-stdin both want standard input');
  for (const file of listed(files)) {
    for (const entry of await readTargets(file, optionsOf(command), sources)) entries.push(entry);
  }
  // Exchange Online needs no server named.
  if (entries.length === 0) return [{ label: '', server: '', settings: common }];
  if (entries.length > MOST_TARGETS) throw usage(`${entries.length} targets are too many for one run: ${MOST_TARGETS}`);
  const all = entries.map(({ settings, off }) => without(merge(common, settings), off));
  return labelled([...new Map(all.map((settings) => [identityOf(settings), settings])).values()]);
}

/** Beyond that the time of a plugin is over before they are read. */
const MOST_TARGETS = 5000;

/** What is set for all and not for one. */
const without = (settings: Settings, off: readonly string[]): Settings =>
  Object.fromEntries(Object.entries(settings).filter(([name]) => !off.includes(name)));

/** Whether targets come on standard input. */
export const readsTargets = ({ targets }: Settings): boolean => listed(targets).includes(STANDARD_INPUT);

const SERVER = 'client-access-server';
const STANDARD_INPUT = '-';

const listed = (setting: Settings[string]): readonly string[] =>
  typeof setting === 'string' ? [setting] : ((setting ?? []) as readonly string[]);

/** The servers of a value of `-H`. A distinguished name has commas of its own. */
export function serversIn(value: string): readonly string[] {
  if (value.includes('=')) return [value];
  const servers = value.split(',').map((server) => server.trim());
  if (servers.includes(''))
    throw usage(`--${SERVER} takes names with a comma between them, not ${JSON.stringify(value)}`);
  return servers;
}

/** Two targets with the same one are the same test; the names of hosts know no case (RFC 4343). */
const identityOf = (settings: Settings): string =>
  JSON.stringify(
    Object.entries({ ...settings, [SERVER]: serverOf(settings).toLowerCase().replace(/[[\]]/g, '') }).sort(
      ([a], [b]) => (a < b ? -1 : 1),
    ),
  );

/** What a target may be called: by its server; by what else tells it from others of that server. */
const LABELS: readonly ((settings: Settings) => string)[] = [
  serverOf,
  (settings) => `${serverOf(settings)} port ${portOf(settings)}`,
  (settings) => and(settings, 'at', settings.address),
  (settings) => and(settings, 'as', settings['mailbox-credential']),
];

function serverOf(settings: Settings): string {
  return String(settings[SERVER] ?? '');
}

function portOf(settings: Settings): string {
  const given = settings['port-client-access-server'];
  if (given !== undefined && given !== '0') return String(given);
  return settings.ssl === true || /^ssl$/i.test(String(settings['connection-type'])) ? '995' : '110';
}

const and = (settings: Settings, word: string, what: Settings[string]): string =>
  what === undefined ? serverOf(settings) : `${serverOf(settings)} ${word} ${what}`;

function labelled(all: readonly Settings[]): readonly Target[] {
  const counts = LABELS.map((label) => countsOf(all.map(label)));
  return all.map((settings, at) => {
    const own = LABELS.map((label) => label(settings)).find((label, way) => counts[way]?.get(label) === 1);
    return { label: own ?? `${serverOf(settings)} #${at + 1}`, server: serverOf(settings), settings };
  });
}

function countsOf(labels: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/** What one file holds. */
async function readTargets(path: string, options: readonly Option[], sources: Sources): Promise<readonly Entry[]> {
  const where = path === STANDARD_INPUT ? 'standard input' : path;
  const read = async (content: string): Promise<readonly Entry[]> =>
    (await recordsIn(content, where)).map((record, at) => entryOf(record, `${where} entry ${at + 1}`, options));
  let entries = await read(
    path === STANDARD_INPUT ? await sources.standardInput() : sources.file('--targets', path, 'public'),
  );
  // Only the content tells whether the file is a secret one.
  if (path !== STANDARD_INPUT && entries.some(({ isSecret }) => isSecret))
    entries = await read(sources.file('--targets', path, 'secret'));
  if (entries.length === 0) throw refused(where, 'no target in it');
  return entries;
}

const refused = (where: string, why: string): ProbeFailure =>
  new ProbeFailure('configuration', `--targets ${where}: ${why}`);

/** A target as it stands in a file: by the names of options, of any letter case, with or without their dashes. */
type Fields = Readonly<Record<string, unknown>>;

/** CSV has a line of names first; everything else is YAML, of which JSON is a part, or a server a line. */
async function recordsIn(content: string, where: string): Promise<readonly Fields[]> {
  const { default: records } = await import('./records.ts');
  const [first = ''] = content.trimStart().split(/\r?\n/, 1);
  const delimiter = first.includes(';') ? ';' : ',';
  const names = first.split(delimiter).map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  const read = <T>(parse: () => T): T => {
    try {
      return parse();
    } catch (problem) {
      throw refused(where, `${placeOf(problem as Error)}that cannot be read as YAML, JSON or CSV`);
    }
  };
  if (names.some((name) => plain(name) === plain(SERVER))) {
    const [head = [], ...rows] = read(() => records.csv(content, delimiter));
    return rows.map((row) => Object.fromEntries(head.map((name, at) => [name, row[at] === '' ? null : row[at]])));
  }
  const lines = content.split('\n').map((line) => line.trim());
  const servers = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (servers.every((line) => isServer(line))) return servers.map((server) => ({ [SERVER]: server }));
  const list = read(() => records.yaml(content));
  if (!Array.isArray(list)) throw refused(where, 'it holds no list of targets');
  return list.map((record, at) => {
    if (typeof record === 'string') return { [SERVER]: record };
    if (typeof record === 'object' && record !== null && !Array.isArray(record)) return record as Fields;
    throw refused(`${where} entry ${at + 1}`, 'neither a server nor its settings');
  });
}

/** Where both parsers say it is, without what stands there: it may be a password. */
function placeOf(problem: Error & { lines?: number; linePos?: readonly { line: number }[] }): string {
  const line = problem.linePos?.[0]?.line ?? problem.lines;
  return line === undefined ? 'something ' : `line ${line}, `;
}

/** What a server may look like, from afar. Anything else is not even repeated: it may be a line of CSV with a password. */
const isServer = (text: string): boolean =>
  /^(?:[\p{L}\p{M}\p{N}_](?:[\p{L}\p{M}\p{N}._-]*)|\[?[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?\]?)$/iu.test(text);

const plain = (name: string): string => name.toLowerCase().replace(/[-_\s]/g, '');

interface Entry {
  readonly settings: Settings;
  /** Flags that are not to be set, whatever is for all. */
  readonly off: readonly string[];
  readonly isSecret: boolean;
}

/** What is set for all, or before there are targets, beside what the directory is asked. */
const NOT_FOR_ONE: readonly string[] = [
  'targets',
  'concurrency',
  'sweep-timeout',
  'extra-opts',
  'password-stdin',
  'what-if',
  'confirm',
  'discover',
  'discover-srv',
  'deliver',
  'deliver-credential',
  'deliver-password-file',
  'deliver-password-env',
  'deliver-password',
  'deliver-token-file',
  'deliver-token-env',
  'deliver-token',
  'deliver-ca-file',
  'deliver-certificate-name',
  'deliver-pin',
  'deliver-client-certificate',
  'deliver-client-key',
  'deliver-source',
  'deliver-ttl',
  'deliver-max-age',
  'deliver-timeout',
  'passive',
  'format',
  'monitoring-context',
  'verbose',
  'explain',
  'version',
  'help',
];

function entryOf(record: Fields, where: string, options: readonly Option[]): Entry {
  const settings: Record<string, Settings[string]> = {};
  const off: string[] = [];
  let isSecret = false;
  for (const [name, value] of Object.entries(record)) {
    if (value === null || value === undefined) continue;
    const option = options.find((each) => plain(each.name) === plain(name));
    // The name is not repeated: it may be the rest of a password.
    if (option === undefined) throw refused(where, 'there is no such option as one that it sets');
    if (NOT_FOR_ONE.includes(option.name) || option.group === 'Directory')
      throw refused(where, `--${option.name} is for all targets, not for one`);
    if (option.secret === true || (option.name === 'proxy' && showsProxyPassword(String(value)))) isSecret = true;
    // It is not on the command line, and must not be remarked on as if it were.
    const key = option.secret === true ? iniSetting(option.name as SecretName) : option.name;
    const texts = textsOf(value, option, where);
    if (texts.length === 0) off.push(option.name);
    if (settings[key] !== undefined || (texts.length > 1 && option.kind !== 'list'))
      throw refused(where, `--${option.name} is set twice`);
    for (const text of texts) {
      try {
        settings[key] = settingOf(option, { value: text, inlineValue: true }, settings[key]);
      } catch (problem) {
        throw problem instanceof ProbeFailure ? refused(where, problem.message) : problem;
      }
    }
  }
  const [server, ...more] = listed(settings[SERVER]);
  if (server === undefined) throw refused(where, `it sets no ${SERVER}`);
  if (more.length > 0 || !isServer(server))
    throw refused(where, 'not the name of one server; CSV begins with a line of the names of options');
  return { settings: { ...settings, [SERVER]: server }, off, isSecret };
}

/** The values an option is given: of a flag none, of a list as many as stand there. */
function textsOf(value: unknown, option: Option, where: string): readonly (string | undefined)[] {
  if (option.kind === 'flag') {
    if (/^(true|yes|on|1)$/i.test(String(value))) return [undefined];
    if (/^(false|no|off|0)$/i.test(String(value))) return [];
    throw refused(where, `--${option.name} takes true or false`);
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (option.kind !== 'list' && values.length > 1) throw refused(where, `--${option.name} takes one value`);
  return values.map((each) => {
    if (typeof each === 'string') return each;
    throw refused(where, `--${option.name} takes a text, not what stands there`);
  });
}
