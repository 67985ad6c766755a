import parser from 'yargs-parser';
import { ProbeFailure } from '../dialogue/failure.ts';
import type { Settings } from '../request/settings.ts';
import { OPTIONS, type Option } from './options.ts';

/**
 * Reads a command line by the option table, with yargs' own parser: yargs itself takes as long to load as a whole
 * logon, and is fetched only to write the help.
 *
 * @throws ProbeFailure `usage`. What an unknown argument holds is not repeated: it may be a password gone astray.
 */
export function parseArguments(argv: readonly string[]): Settings {
  // Only what may be meant: the parser weighs every option it knows against every argument.
  const options = OPTIONS.filter((option) => argv.some((argument) => mayName(argument, option)));
  const named = (...kinds: readonly Option['kind'][]): string[] =>
    options.filter(({ kind }) => kinds.includes(kind)).map(({ name }) => name);
  const { argv: parsed, error } = parser.detailed([...argv], {
    string: named('text', 'list'),
    boolean: named('flag'),
    count: named('count'),
    narg: Object.fromEntries(named('text', 'list').map((name) => [name, 1])),
    alias: Object.fromEntries(
      options.filter(({ short }) => short !== undefined).map(({ name, short }) => [name, [short as string]]),
    ),
    configuration: {
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'flatten-duplicate-arrays': true,
      'greedy-arrays': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'populate--': true,
      'short-option-groups': true,
      'strip-aliased': true,
      'unknown-options-as-args': true,
    },
  });
  refuseForeign(argv, parsed._.map(String), (parsed['--'] ?? []).length);
  const settings = Object.fromEntries(
    options
      .filter(({ name }) => parsed[name] !== undefined)
      .map((option) => [option.name, settingOf(option, parsed[option.name])]),
  );
  if (error !== null) throw new ProbeFailure('usage', missingValue(argv));
  return settings;
}

/** Whether an argument may be an option, or a cluster of short ones that holds it. */
const mayName = (argument: string, { name, short }: Option): boolean =>
  argument.startsWith('--')
    ? argument.startsWith(name, 2)
    : argument.startsWith('-') && short !== undefined && argument.includes(short);

/** The value as `Settings` has it. Of an option that may stand once the last one counts, as in the plugin world. */
function settingOf({ name, kind, value }: Option, parsed: unknown): Settings[string] {
  const given: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (kind === 'count') return Number(parsed);
  if (kind === 'flag') {
    if (given.some((each) => each !== true)) throw new ProbeFailure('usage', `--${name} takes no value`);
    return true;
  }
  const texts = given.map(String);
  if (texts.some((text) => text === '')) throw new ProbeFailure('usage', `--${name} takes ${value}`);
  return kind === 'list' ? texts : texts[texts.length - 1];
}

function refuseForeign(argv: readonly string[], foreign: readonly string[], afterDashes: number): void {
  const [first] = foreign;
  if (first === undefined && afterDashes === 0) return;
  if (first !== undefined && /^-./.test(first)) {
    const name = first.startsWith('--') ? (first.split('=', 1)[0] as string) : first.slice(0, 2);
    throw new ProbeFailure('usage', `there is no option ${name}`);
  }
  const at = first === undefined ? argv.indexOf('--') + 2 : argv.indexOf(first) + 1;
  throw new ProbeFailure('usage', `argument ${at} belongs to no option; quote a value that has blanks`);
}

/** Names the option whose value is missing: the last, or the one followed by another option. */
function missingValue(argv: readonly string[]): string {
  const isOption = (argument: string | undefined): boolean => argument === undefined || /^-[^0-9]/.test(argument);
  const option = OPTIONS.find(({ name, short, kind }) =>
    argv.some(
      (argument, at) =>
        (kind === 'text' || kind === 'list') &&
        (argument === `--${name}` || argument === `-${short}`) &&
        isOption(argv[at + 1]),
    ),
  );
  return option === undefined
    ? 'an option lacks its value'
    : `--${option.name} takes ${option.value} (one that begins with a dash is given as --${option.name}=${option.value})`;
}
