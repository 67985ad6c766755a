import { ProbeFailure } from '../dialogue/failure.ts';
import type { Sources } from '../request/sources.ts';

/** One line `name = value` of an ini file. */
export interface IniOption {
  readonly name: string;
  /** '' where nothing follows the equals sign. */
  readonly value: string;
  /** The file and the line, as a refusal names them. */
  readonly where: string;
}

/**
 * The options that `--extra-opts=[SECTION][@FILE]` stands for, as the Monitoring Plugins define it
 * (https://www.monitoring-plugins.org/doc/extra-opts.html).
 *
 * @param given the value of each `--extra-opts`, '' where it had none
 * @param usualSection the section where none is named
 * @param isSecret whether an option of that name holds a secret: then nobody else may read the file
 * @throws ProbeFailure `usage` or `configuration`, with the file and the line, never with what the line holds
 */
export async function readExtraOpts(
  given: readonly string[],
  usualSection: string,
  sources: Sources,
  isSecret: (name: string) => boolean,
): Promise<readonly IniOption[]> {
  const found: IniOption[] = [];
  let typed: string | undefined; // standard input is there once, whatever the number of sections
  for (const locator of given) {
    const { section, path } = parseLocator(locator, usualSection, sources);
    const read = (content: string): readonly IniOption[] => parseIni(content, section, path);
    let options: readonly IniOption[];
    if (path === STANDARD_INPUT) {
      typed ??= await sources.standardInput();
      options = read(typed);
    } else {
      options = read(sources.file('--extra-opts', path, 'public'));
      // Only the content tells whether the file is a secret one.
      if (options.some(({ name }) => isSecret(name))) options = read(sources.file('--extra-opts', path, 'secret'));
    }
    if (options.length === 0) {
      throw new ProbeFailure('configuration', `--extra-opts ${path}: no section [${section}] with options`);
    }
    found.push(...options);
  }
  return found;
}

/** The file name that means standard input. */
const STANDARD_INPUT = '-';

export const readsStandardInput = (given: readonly string[]): boolean =>
  given.some((locator) => locator.slice(locator.indexOf('@')) === `@${STANDARD_INPUT}`);

function parseLocator(locator: string, usualSection: string, sources: Sources): { section: string; path: string } {
  const [, section, path] = /^([^@]*)(?:@(.*))?$/s.exec(locator) as RegExpExecArray;
  if (path === '') throw new ProbeFailure('usage', '--extra-opts names no file behind the @');
  return { section: section === '' ? usualSection : (section as string), path: path ?? findIni(sources) };
}

/** The file that is read where none is named: the first there is. */
function findIni({ environment, exists }: Sources): string {
  const named = environment('MP_CONFIG_FILE');
  if (named !== undefined && named !== '') return named;
  const folders = (environment('NAGIOS_CONFIG_PATH') ?? '').split(':').filter((folder) => folder !== '');
  const candidates = [...folders.flatMap((folder) => FILE_NAMES.map((name) => `${folder}/${name}`)), ...USUAL_FILES];
  const found = candidates.find(exists);
  if (found !== undefined) return found;
  throw new ProbeFailure(
    'configuration',
    '--extra-opts: no ini file in any of the usual places (docs/secrets.md): name one by --extra-opts=@FILE',
  );
}

/** In each folder of the deprecated NAGIOS_CONFIG_PATH. */
const FILE_NAMES = ['monitoring-plugins.ini', 'plugins.ini', 'nagios-plugins.ini'];

const USUAL_FILES = [
  '/usr/local/etc/monitoring-plugins/monitoring-plugins.ini',
  '/usr/local/etc/monitoring-plugins.ini',
  '/etc/monitoring-plugins/monitoring-plugins.ini',
  '/etc/monitoring-plugins.ini',
  '/etc/nagios/plugins.ini',
  '/usr/local/nagios/etc/plugins.ini',
  '/usr/local/etc/nagios/plugins.ini',
  '/etc/opt/nagios/plugins.ini',
  '/etc/nagios-plugins.ini',
  '/usr/local/etc/nagios-plugins.ini',
  '/etc/opt/nagios-plugins.ini',
];

/**
 * The options in every section of one name, in the order of the file. A `;` or `#` begins a comment only where it
 * begins the line, and quotes are letters like others. Sections of other programs may hold what they like.
 *
 * @param path as a refusal names it
 * @throws ProbeFailure `configuration`
 */
export function parseIni(content: string, section: string, path: string): readonly IniOption[] {
  const options: IniOption[] = [];
  let current: string | null = null;
  for (const [index, line] of content.split('\n').entries()) {
    const where = `${path === STANDARD_INPUT ? 'standard input' : path} line ${index + 1}`;
    const refuse = (why: string): ProbeFailure => new ProbeFailure('configuration', `--extra-opts ${where}: ${why}`);
    let text = trimmed(line);
    if (text.startsWith('[')) {
      const end = text.indexOf(']');
      if (end < 0) throw refuse('a section without its closing ]');
      current = trimmed(text.slice(1, end));
      text = trimmed(text.slice(end + 1)); // an option may follow on the same line
    }
    if (text === '' || text.startsWith('#') || text.startsWith(';')) continue;
    if (current === null) throw refuse('it stands before the first [section]');
    if (current !== section) continue;
    const equals = text.indexOf('=');
    if (equals < 0) throw refuse('no equals sign');
    const name = trimmed(text.slice(0, equals));
    if (name === '') throw refuse('no option before the equals sign');
    options.push({ name, value: trimmed(text.slice(equals + 1)), where });
  }
  return options;
}

/** Without the white space of C around it: a no-break space may belong to a password. */
const trimmed = (text: string): string => text.replace(/^[ \t\r\v\f]+/, '').replace(/[ \t\r\v\f]+$/, '');
