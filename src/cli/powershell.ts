import { type ProbeFailure, usage } from '../dialogue/failure.ts';
import { takesValue } from './arguments.ts';
import type { Option } from './options.ts';

/**
 * Takes a command line as PowerShell writes it, as getopt writes it, or both, and writes it as getopt does, for
 * `parseArguments`.
 *
 * A dash and one letter is a short option, to the case (`-v`, `-C 30`, `-p110`), and so is a counted one repeated
 * (`-vvv`). A dash and more letters is a parameter in any case (`-Confirm`), or the beginning of one: of the cmdlet's
 * own first, so that what was unambiguous to the cmdlet stays so whatever options there come to be. Two dashes are a
 * long option. The one argument that belongs to none of these is the server.
 *
 * @param options what the command takes
 * @throws ProbeFailure `usage`. What it cannot make sense of is told by its place, not repeated: it may be a password.
 */
export function fromPowerShell(argv: readonly string[], options: readonly Option[]): readonly string[] {
  const said: string[] = [];
  const switched = new Map<Option, boolean>();
  let before: Option | null = null;
  let isServerNamed = false;
  let positional: number | null = null;
  let isEnd = false;
  for (let index = 0; index < argv.length; ) {
    if (argv[index] === '--' && !isEnd) {
      isEnd = true;
      index += 1;
      continue;
    }
    const step: Step = isEnd ? readPositional(argv, index) : readStep(argv, index, options);
    if (step.kind === 'positional') {
      refuseStray(argv, index, before);
      if (positional !== null) throw stray(index, NO_OPTION);
      positional = index;
    }
    if (step.kind === 'switch') {
      const otherwise = switched.get(step.option);
      if (otherwise === !step.isOn) throw usage(`-${parameterOf(step.option)} is given as $true and as $false`);
      switched.set(step.option, step.isOn);
    }
    isServerNamed ||= step.option?.name === SERVER;
    before = step.option;
    said.push(...step.said);
    index += step.length;
  }
  // As in PowerShell, what is given by name is not given by place too, wherever either stands.
  if (positional !== null && isServerNamed) throw stray(positional, NO_OPTION);
  return said;
}

/** What the cmdlet calls an option, or would: `-SmtpServer`. */
export const parameterOf = ({ name, cmdlet }: Option): string =>
  cmdlet ?? name.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The words that belong together, and what getopt calls them. */
type Step = { readonly said: readonly string[]; readonly length: number } & (
  | { readonly kind: 'option'; readonly option: Option | null }
  | { readonly kind: 'switch'; readonly option: Option; readonly isOn: boolean }
  | { readonly kind: 'positional'; readonly option: null }
);

function readStep(argv: readonly string[], index: number, options: readonly Option[]): Step {
  const word = argv[index] as string;
  if (word.startsWith('--')) return readLong(argv, index, options);
  if (!DASH.test(word) || word === '-') return readPositional(argv, index);
  const isCounted = (letter: string): boolean =>
    options.some(({ short, kind }) => short === letter && kind === 'count');
  if (SHORT.test(word) || (word.startsWith('-') && [...word.slice(1)].every(isCounted)))
    return readShort(argv, index, options);
  return readParameter(argv, index, options);
}

/** PowerShell takes the dashes of typography too, for what is copied from a page. */
const DASH = /^[-\u2013\u2014\u2015]/;

/** One letter, with or without a value that begins with none; or a digit. */
const SHORT = /^-(?:[A-Za-z](?![A-Za-z])|[^A-Za-z])/;

/** As getopt has it, unchanged; what there is not `parseArguments` refuses. */
function readLong(argv: readonly string[], index: number, options: readonly Option[]): Step {
  const [name, ...value] = (argv[index] as string).slice(2).split('=');
  const option = options.find((each) => each.name === name) ?? null;
  return unchanged(argv, index, option, value.length === 0);
}

/** The same of short ones: of several in one word, the first that takes a value takes the rest. */
function readShort(argv: readonly string[], index: number, options: readonly Option[]): Step {
  const letters = (argv[index] as string).slice(1);
  let option: Option | null = null;
  for (const [place, letter] of [...letters].entries()) {
    option = options.find(({ short }) => short === letter) ?? null;
    if (option === null) break;
    if (takesValue(option)) return unchanged(argv, index, option, place === letters.length - 1);
  }
  return unchanged(argv, index, option, false);
}

function unchanged(argv: readonly string[], index: number, option: Option | null, isApart: boolean): Step {
  const length = isApart && option !== null && takesValue(option) && index + 1 < argv.length ? 2 : 1;
  return { kind: 'option', option, said: argv.slice(index, index + length), length };
}

function readParameter(argv: readonly string[], index: number, options: readonly Option[]): Step {
  const [, given = '', joined] = /^.([A-Za-z][A-Za-z0-9]+)(?::(.*))?$/s.exec(argv[index] as string) ?? [];
  const option = find(given.toLowerCase(), index, options);
  if (option.kind === 'flag' || option.kind === 'count') return readSwitch(argv, index, option, joined);
  if (option.kind === 'optional') {
    const value = joined === undefined || joined === '' ? '' : `=${joined}`;
    return { kind: 'option', option, said: [`--${option.name}${value}`], length: 1 };
  }
  const isApart = joined === undefined || joined === '';
  const first = isApart ? argv[index + 1] : joined;
  // Another parameter is no value, but a number may be negative.
  if (first === undefined || first === '' || (isApart && DASH.test(first) && !/^-[0-9.]/.test(first))) {
    const name = parameterOf(option);
    throw usage(`-${name} takes ${option.value} (one that begins with a dash is given as -${name}:${option.value})`);
  }
  const from = index + (isApart ? 1 : 0);
  const { value, length } = option.name === SERVER ? withList(first, argv, from) : { value: first, length: 1 };
  const said = [`--${option.name}=${option.name.endsWith('-credential') ? userNameIn(value, option) : value}`];
  return { kind: 'option', option, said, length: from - index + length };
}

function find(given: string, index: number, options: readonly Option[]): Option {
  const begins = (option: Option): boolean => given !== '' && parameterOf(option).toLowerCase().startsWith(given);
  const ofCmdlet = options.filter((option) => option.cmdlet !== undefined && begins(option));
  const candidates = ofCmdlet.length > 0 ? ofCmdlet : options.filter(begins);
  const exact = options.find((option) => parameterOf(option).toLowerCase() === given);
  const [found] = exact === undefined ? candidates : [exact];
  if (found === undefined) throw stray(index, 'names no parameter; --help lists them');
  if (exact !== undefined || candidates.length === 1) return found;
  const names = candidates.slice(0, MOST_NAMED).map((option) => `-${parameterOf(option)}`);
  const more = candidates.length > MOST_NAMED ? ' …' : '';
  throw stray(index, `is the beginning of ${names.join(' and ')}${more}: write out which`);
}

const MOST_NAMED = 4;

/** A switch is given, or given as one or the other: `-Confirm:$false`, `-Confirm: $false`. */
function readSwitch(argv: readonly string[], index: number, option: Option, joined: string | undefined): Step {
  const isApart = joined === '';
  const value = isApart ? argv[index + 1] : joined;
  const isOn = value === undefined && !isApart ? true : BOOLEANS[(value ?? '').replace(/^\$(?=\D)/, '').toLowerCase()];
  if (isOn === undefined) {
    const name = parameterOf(option);
    throw usage(`-${name} takes :$true or :$false and nothing else; a shell needs quotes around it: '-${name}:$false'`);
  }
  return { kind: 'switch', option, isOn, said: isOn ? [`--${option.name}`] : [], length: isApart ? 2 : 1 };
}

const BOOLEANS: Readonly<Record<string, boolean>> = Object.assign(Object.create(null), {
  true: true,
  false: false,
  1: true,
  0: false,
});

const SERVER = 'client-access-server';

function readPositional(argv: readonly string[], index: number): Step {
  const { value, length } = withList(argv[index] as string, argv, index);
  return { kind: 'positional', option: null, said: [`--${SERVER}=${value}`], length };
}

/** `a, b` is one list to PowerShell, and three words with the commas at either end of them to a shell. */
function withList(first: string, argv: readonly string[], index: number): { value: string; length: number } {
  let value = first;
  let length = 1;
  for (let next = argv[index + 1]; next !== undefined; next = argv[index + length]) {
    if (DASH.test(next) || !(value.endsWith(',') || next.startsWith(','))) break;
    value += next;
    length += 1;
  }
  return { value, length };
}

/** Refuses what would be the server, but is more likely something else. */
function refuseStray(argv: readonly string[], index: number, before: Option | null): void {
  const word = argv[index] as string;
  if (word === '') throw stray(index, 'is empty');
  // A password with blanks that was not quoted.
  if (DASH.test(word) || before?.secret === true) throw stray(index, NO_OPTION);
  if (before?.kind === 'optional')
    throw stray(index, `is not taken by --${before.name}: join them, --${before.name}=${before.value}`);
  const isSwitch = before?.kind === 'flag' || before?.kind === 'count';
  if (before !== null && isSwitch && BOOLEANS[word.replace(/^\$/, '').toLowerCase()] !== undefined)
    throw usage(`-${parameterOf(before)} takes its value joined to it: '-${parameterOf(before)}:$false'`);
}

const NO_OPTION = 'belongs to no option; quote a value that has blanks';

const stray = (index: number, why: string): ProbeFailure => usage(`argument ${index + 1} ${why}`);

/**
 * The user name in `(Get-Credential contoso\kweku)`, which asks for the password as we do. PowerShell itself hands a
 * command the name of the credential's type, and nothing of the credential.
 */
function userNameIn(value: string, option: Option): string {
  const refuse = (): ProbeFailure =>
    usage(`-${parameterOf(option)} takes a user name; in quotes, '(Get-Credential contoso\\kweku)' is one too`);
  if (value === 'System.Management.Automation.PSCredential') throw refuse();
  if (!/^\(\s*Get-Credential\b/i.test(value)) return value;
  const [, double, single, bare] =
    /^\(\s*Get-Credential\s+(?:-(?:Credential|UserName)[\s:]\s*)?(?:"([^"]+)"|'([^']+)'|([^\s"'-][^\s"']*?))\s*\)$/i.exec(
      value,
    ) ?? [];
  const name = double ?? single ?? bare;
  if (name === undefined) throw refuse();
  return name;
}
