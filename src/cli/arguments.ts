import { usage } from '../dialogue/failure.ts';
import type { Settings } from '../request/settings.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { OPTIONS, type Option } from './options.ts';

/**
 * Reads a command line by the option table, with Node's own parser: yargs' takes a tenth of a whole logon to read a
 * dozen arguments, and yargs itself as long as one; it is fetched to write the help.
 *
 * @param options what the command takes
 * @throws ProbeFailure `usage`. What an unknown argument holds is not repeated: it may be a password gone astray.
 */
export function parseArguments(argv: readonly string[], options: readonly Option[] = OPTIONS): Settings {
  const { tokens } = builtin.util().parseArgs({
    args: [...argv],
    options: parsedAs(options),
    strict: false, // its refusals repeat values; ours do not
    tokens: true,
  });
  const settings: Record<string, Settings[string]> = {};
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      const why =
        argv[token.index - 1] === '--extra-opts'
          ? 'is not taken by --extra-opts: join them, --extra-opts=[SECTION][@FILE]'
          : 'belongs to no option; quote a value that has blanks';
      throw usage(`argument ${token.index + 1} ${why}`);
    }
    const option = options.find(({ name }) => name === token.name);
    if (option === undefined) throw usage(`there is no option ${token.rawName.split('=', 1)[0]}`);
    settings[option.name] = settingOf(option, token, settings[option.name]);
  }
  return settings;
}

type Parsed = { readonly type: 'string' | 'boolean'; readonly short?: string };

const parsedAs = (options: readonly Option[]): Record<string, Parsed> =>
  Object.fromEntries(
    options.map((option) => {
      const type = takesValue(option) ? 'string' : 'boolean';
      return [option.name, option.short === undefined ? { type } : { type, short: option.short }];
    }),
  );

/** Whether the next argument is its value. */
export const takesValue = ({ kind }: Option): boolean => kind === 'text' || kind === 'list';

/** The value as `Settings` has it. Of an option that may stand once the last one counts, as in the plugin world. */
export function settingOf(option: Option, given: Given, before: Settings[string]): Settings[string] {
  const { name, kind } = option;
  if (kind === 'flag' || kind === 'count') {
    if (given.value !== undefined) throw usage(`--${name} takes no value`);
    return kind === 'flag' ? true : Number(before ?? 0) + 1;
  }
  // The parser takes it for a flag, so it has no value but one joined to it.
  if (kind === 'optional') return [...((before ?? []) as readonly string[]), given.value ?? ''];
  // Another option is no value, but a threshold may begin with a minus.
  const isMissing =
    given.value === undefined || given.value === '' || (!given.inlineValue && /^-[^0-9.]/.test(given.value));
  if (isMissing)
    throw usage(`--${name} takes ${option.value} (one that begins with a dash is given as --${name}=${option.value})`);
  const value = given.value as string;
  return kind === 'list' ? [...((before ?? []) as readonly string[]), value] : value;
}

interface Given {
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}
