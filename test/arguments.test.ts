import { describe, expect, test } from 'vitest';
import { parseArguments } from '../src/cli/arguments.ts';
import { OPTIONS } from '../src/cli/options.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Settings } from '../src/request/settings.ts';

/** What was set, without the count that is always there. */
function read(...argv: string[]): Settings {
  const { verbose, ...settings } = parseArguments(argv);
  return verbose === 0 || verbose === undefined ? settings : { ...settings, verbose };
}

function refusal(...argv: string[]): string {
  try {
    parseArguments(argv);
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.reason).toBe('usage');
    expect(problem.message).not.toContain('\n');
    return problem.message;
  }
  throw new Error(`${argv.join(' ')} was taken`);
}

const VALUED = OPTIONS.filter(({ kind }) => kind === 'text' || kind === 'list');
const FLAGS = OPTIONS.filter(({ kind }) => kind === 'flag');
const withShort = (options: typeof OPTIONS): readonly (readonly [string, string, string])[] =>
  options.flatMap(({ name, short, kind }) => (short === undefined ? [] : [[short, name, kind] as const]));
const as = (kind: string, value: string): unknown => (kind === 'list' ? [value] : value);

describe('an option with a value', () => {
  const VALUES = ['mail.example.com', '110', '@5:10', 'a=b', 'x y'];

  test.each(VALUED.map(({ name, kind }) => [name, kind] as const))('--%s in its long spellings', (name, kind) => {
    for (const value of VALUES) {
      expect(read(`--${name}`, value)).toEqual({ [name]: as(kind, value) });
      expect(read(`--${name}=${value}`)).toEqual({ [name]: as(kind, value) });
    }
  });

  test.each(withShort(VALUED))('-%s apart from its value', (short, name, kind) => {
    for (const value of VALUES) expect(read(`-${short}`, value)).toEqual({ [name]: as(kind, value) });
  });

  // As getopt(3) has it, and with it every plugin there is.
  test.each(
    withShort(VALUED).flatMap(([short, name, kind]) => VALUES.map((value) => [`-${short}${value}`, name, kind, value])),
  )('%s joined to its value', (argument, name, kind, value) => {
    expect(read(argument as string)).toEqual({ [name as string]: as(kind as string, value as string) });
  });

  test.each(VALUED.map(({ name, kind }) => [name, kind] as const))(
    '--%s with a value that begins with a dash',
    (name, kind) => {
      for (const value of ['-x', '--light-mode', '-5:5', '-']) {
        expect(read(`--${name}=${value}`)).toEqual({ [name]: as(kind, value) });
      }
    },
  );

  test.each([
    ['blanks around it', ' a b '],
    ['quotes', '"quoted"'],
    ['single quotes', "'quoted'"],
    ['a backslash', 'a\\b'],
    ['an equals sign at its front', '=x'],
    ['more of them', 'a=b=c'],
    ['something like a number', '1e5'],
    ['something hexadecimal', '0x10'],
    ['zeros before a number', '007'],
    ['something like true', 'true'],
    ['letters beyond ASCII', 'pässwörd 密码'],
    ['a hash', 'a#b'],
    ['a comma', 'a,b'],
  ])('is kept to the letter: %s', (_, value) => {
    expect(read('--password', value)).toEqual({ password: value });
    expect(read(`--password=${value}`)).toEqual({ password: value });
  });

  test.each(VALUED)('--$name without one is told what it takes', ({ name, value, short }) => {
    const spellings = [[`--${name}`], [`--${name}=`], [`--${name}`, ''], [`--${name}`, '--light-mode']];
    if (short !== undefined) spellings.push([`-${short}`]);
    for (const argv of spellings) {
      const message = refusal(...argv);
      expect(message, argv.join(' ')).toContain(`--${name} takes`);
      expect(message).toContain(value);
    }
  });

  test('given again, the last one wins', () => {
    expect(read('-u', 'a', '--mailbox-credential=b', '-u', 'c')).toEqual({ 'mailbox-credential': 'c' });
    expect(read('-t', '10', '--timeout', '20')).toEqual({ timeout: '20' });
  });

  test('servers given again are several', () => {
    expect(read('-H', 'a', '--client-access-server=b,c')).toEqual({ 'client-access-server': ['a', 'b,c'] });
  });

  test('thresholds given again add up', () => {
    expect(read('-w', '5', '-w', 'messages=9', '--warning=octets=1', '-c', '10')).toEqual({
      warning: ['5', 'messages=9', 'octets=1'],
      critical: ['10'],
    });
  });

  test('a threshold is not split, and takes one argument alone', () => {
    expect(read('-w', '5,10')).toEqual({ warning: ['5,10'] });
    expect(refusal('-w', '5', '10')).toContain('argument 3');
  });
});

describe('a flag', () => {
  test.each(FLAGS.map(({ name }) => [name]))('--%s is set by its name', (name) => {
    expect(read(`--${name}`)).toEqual({ [name]: true });
    expect(read(`--${name}`, `--${name}`)).toEqual({ [name]: true });
  });

  test.each(withShort(FLAGS))('-%s', (short, name) => {
    expect(read(`-${short}`)).toEqual({ [name]: true });
  });

  test.each(FLAGS.map(({ name }) => [name]))('--%s takes no value', (name) => {
    expect(refusal(`--${name}=yes`)).toContain(`--${name} takes no value`);
    expect(refusal(`--${name}=false`)).toContain(`--${name} takes no value`);
  });

  // Stored settings would otherwise say one thing and mean another.
  test.each(OPTIONS.map(({ name }) => [name]))('--no-%s does not exist', (name) => {
    expect(refusal(`--no-${name}`)).toContain(`--no-${name}`);
  });

  test.each([
    ['-S4', { ssl: true, ipv4: true }],
    ['-4S', { ssl: true, ipv4: true }],
    ['-46', { ipv4: true, ipv6: true }],
    ['-Svv', { ssl: true, verbose: 2 }],
    ['-4v', { ipv4: true, verbose: 1 }],
    ['-Sp995', { ssl: true, 'port-client-access-server': '995' }],
    ['-SHmail', { ssl: true, 'client-access-server': ['mail'] }],
  ])('several in one: %s', (argument, expected) => {
    expect(read(argument)).toEqual(expected);
  });
});

describe('how much is told', () => {
  test.each([
    [['-v'], 1],
    [['-vv'], 2],
    [['-vvv'], 3],
    [['-v', '-v'], 2],
    [['--verbose'], 1],
    [['--verbose', '-vv'], 3],
  ])('%j is %d', (argv, verbose) => {
    expect(read(...argv)).toEqual({ verbose });
  });

  test('is counted, not set: a value is refused rather than dropped', () => {
    expect(refusal('--verbose=3')).toContain('--verbose');
    expect(refusal('-v', '3')).toContain('argument 2');
  });
});

describe('--extra-opts', () => {
  test.each<[readonly string[], readonly string[]]>([
    [['--extra-opts'], ['']],
    [['--extra-opts='], ['']],
    [['--extra-opts=farm'], ['farm']],
    [['--extra-opts=@/etc/pop3.ini'], ['@/etc/pop3.ini']],
    [['--extra-opts=farm@-'], ['farm@-']],
    [['--extra-opts=a=b@c=d'], ['a=b@c=d']],
    [
      ['--extra-opts', '--extra-opts=b'],
      ['', 'b'],
    ],
  ])('%j: what it takes is joined to it', (argv, given) => {
    expect(read(...argv)).toEqual({ 'extra-opts': given });
    expect(read(...argv, '-H', 'mail')).toEqual({ 'extra-opts': given, 'client-access-server': ['mail'] });
    expect(read('-S', ...argv, '-v')).toEqual({ 'extra-opts': given, ssl: true, verbose: 1 });
  });

  test('swallows nothing, and says what it wants', () => {
    const message = refusal('-S', '--extra-opts', 'hunter2');
    expect(message).toContain('argument 3 is not taken by --extra-opts');
    expect(message).toContain('--extra-opts=[SECTION][@FILE]');
    expect(message).not.toContain('hunter2');
  });

  test('is no value, and counts only before two dashes', () => {
    expect(refusal('-u', '--extra-opts')).toContain('--mailbox-credential takes');
    expect(refusal('--', '--extra-opts')).toContain('argument 2');
  });
});

describe('what we do not know', () => {
  test.each([
    ['--passwrod', ['--passwrod=hunter2']],
    ['--passwrod', ['--passwrod', 'hunter2']],
    ['--clientAccessServer', ['--clientAccessServer', 'hunter2']],
    ['--client-access', ['--client-access', 'hunter2']],
    ['--PASSWORD', ['--PASSWORD=hunter2']],
    ['-x', ['-x']],
    ['-x', ['-x', 'hunter2']],
    ['-P', ['-Phunter2']],
    ['-P', ['-P=hunter2']],
    ['-P', ['-vPhunter2']],
    ['-s', ['-shunter2']],
    ['-9', ['-9']],
    ['--', ['--=hunter2']],
    ['---password', ['---password=hunter2']],
    ['--__proto__', ['--__proto__']],
    ['--__proto__', ['--__proto__=hunter2']],
    ['--__proto__.password', ['--__proto__.password=hunter2']],
    ['--constructor', ['--constructor', 'hunter2']],
    ['--constructor.prototype.x', ['--constructor.prototype.x=hunter2']],
    ['--toString', ['--toString']],
    ['--hasOwnProperty', ['--hasOwnProperty=hunter2']],
    ['--_', ['--_=hunter2']],
    ['--$0', ['--$0=hunter2']],
    ['--password.x', ['--password.x=hunter2']],
  ])('%s is named, its value is not: %j', (name, argv) => {
    const message = refusal('-H', 'mail.example.com', ...argv);
    expect(message).toMatch(new RegExp(`no option ${name.replace(/[.$]/g, '\\$&')}$`));
    expect(message).not.toContain('hunter2');
  });

  test('no command line changes what every object has', () => {
    for (const argv of [['--__proto__.polluted=1'], ['--constructor.prototype.polluted=1'], ['-u', '__proto__']]) {
      try {
        parseArguments(argv);
      } catch {
        // Refused: what it left behind is the question.
      }
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test.each([
    ['alone', ['hunter2'], 1],
    ['behind an option', ['-H', 'mail.example.com', 'hunter2'], 3],
    ['behind a flag', ['--light-mode', 'hunter2'], 2],
    ['the same as a value before it', ['-u', 'hunter2', 'hunter2'], 3],
    ['a password that was not quoted', ['--password', 'correct', 'hunter2'], 3],
    ['a dash', ['-H', 'mail', '-'], 3],
    ['an empty one', ['-H', 'mail', ''], 3],
    ['behind two dashes', ['-H', 'mail', '--', 'hunter2'], 4],
    ['behind two dashes, like an option', ['--', '-H', 'hunter2'], 2],
  ])('an argument of no option is told by its place, not repeated: %s', (_, argv, place) => {
    const message = refusal(...argv);
    expect(message).toContain(`argument ${place} `);
    expect(message).not.toContain('hunter2');
  });

  test('two dashes with nothing behind them do no harm', () => {
    expect(read('-H', 'mail', '--')).toEqual({ 'client-access-server': ['mail'] });
  });

  test('no arguments set nothing', () => {
    expect(read()).toEqual({});
  });
});
