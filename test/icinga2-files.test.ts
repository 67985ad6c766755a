import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Option, optionsOf } from '../src/cli/options.ts';
import { FILES } from '../tools/icinga2.mjs';
import { argumentsOf, LEFT_OUT, optionsOfCheckPop3, secretsOf } from '../tools/icinga2-arguments.mjs';

const OPTIONS = optionsOf('check_pop3');
const inTree = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const CONF = inTree('plugins/icinga2/check_pop3.conf');
const BASKET = JSON.parse(inTree('plugins/icinga2/director-basket.json'));
const COMMAND = BASKET.Command.pop3;

const option = (name: string, more: Partial<Option> = {}): Option => ({
  ...{ name, kind: 'text', value: 'VALUE', group: 'Output', help: 'what it does' },
  ...more,
});

describe('what an administrator of Icinga imports', () => {
  test.each(Object.keys(FILES))('%s is up to date (else: node tools/icinga2.mjs)', async (path) => {
    expect(inTree(path)).toBe(FILES[path]?.(await optionsOfCheckPop3()));
  });

  test('has each option of check_pop3, or a reason why not', () => {
    const there = argumentsOf(OPTIONS).map((each) => each.option);
    expect([...there, ...Object.keys(LEFT_OUT)].sort()).toEqual(OPTIONS.map(({ name }) => name).sort());
    for (const name of there) {
      expect(CONF).toMatch(new RegExp(`^ {4}"--${name}" = \\{$`, 'm'));
      expect(COMMAND.arguments).toHaveProperty([`--${name}`]);
    }
    for (const name of Object.keys(LEFT_OUT)) expect(CONF).not.toContain(`"--${name}"`);
  });

  test('shows no secret: each goes by the environment', () => {
    const secrets = OPTIONS.filter(({ secret }) => secret === true).map(({ name }) => name);
    expect(secrets.length).toBeGreaterThan(3);
    const [, environment = ''] = /^ {2}env = \{\n(.*?)^ {2}\}$/ms.exec(CONF) ?? [];
    const [, command = ''] = /^ {2}arguments = \{\n(.*?)^ {2}\}$/ms.exec(CONF) ?? [];
    for (const name of secrets) {
      const custom = `pop3_${name.replaceAll('-', '_')}`;
      expect(environment).toContain(`    ${custom.toUpperCase()} = "$${custom}$"\n`);
      expect(command).not.toContain(`value = "$${custom}$"`);
    }
  });

  test('the Director has no environment, hence no field for a secret', () => {
    const fields: readonly string[] = Object.values<{ varname: string }>(BASKET.Datafield).map((each) => each.varname);
    for (const { custom } of secretsOf(OPTIONS)) expect(fields).not.toContain(custom);
  });

  test('each custom variable of an argument has its field, of its type, in its category', () => {
    const types: Record<string, string> = {};
    COMMAND.fields.forEach(({ datafield_id }: { datafield_id: number }, index: number) => {
      expect(datafield_id).toBe(index + 1);
      const { varname, datatype, category } = BASKET.Datafield[datafield_id];
      expect(BASKET.DatafieldCategory).toHaveProperty([category]);
      types[varname] = datatype.replace('Icinga\\Module\\Director\\DataType\\DataType', '');
    });
    expect(Object.keys(BASKET.Datafield)).toHaveLength(COMMAND.fields.length);
    expect(types).toMatchObject({
      pop3_server: 'String',
      pop3_port: 'String',
      pop3_light_mode: 'Boolean',
      pop3_warning: 'Array',
      pop3_verbose: 'Number',
    });
    for (const argument of Object.values(COMMAND.arguments)) {
      const [, custom = 'none'] = /\$(pop3_\w+)\$/.exec(JSON.stringify(argument)) ?? [];
      expect(Object.keys(types)).toContain(custom);
    }
  });
});

describe('a new option', () => {
  test('is taken in by itself, under its own name', () => {
    const [last] = argumentsOf([...OPTIONS, option('new-thing', { kind: 'list' })]).slice(-1);
    expect(last).toMatchObject({ option: 'new-thing', custom: 'pop3_new_thing', kind: 'list' });
  });

  test('is quoted, whatever its help says', () => {
    const help = 'a "quoted" word and a \\';
    const written = FILES['plugins/icinga2/check_pop3.conf']?.([...OPTIONS, option('new-thing', { help })]);
    expect(written).toContain('description = "a \\"quoted\\" word and a \\\\"\n');
  });

  const REFUSED = [
    [
      'a secret that would stand in the command line',
      [...OPTIONS, option('new-secret', { secret: true })],
      '--new-secret would show a secret',
    ],
    [
      'two options that would be one custom variable',
      [...OPTIONS, option('server')],
      'pop3_server would be two options',
    ],
    [
      'a custom variable that is a secret of another option',
      [...OPTIONS, option('new-env'), option('new')],
      'pop3_new would be two options',
    ],
    [
      'an option that is left out and is not there any more',
      OPTIONS.filter(({ name }) => name !== 'explain'),
      'there is no --explain to be left out',
    ],
  ] as const;

  test.each(REFUSED)('%s stops the tool', (_, options, why) => {
    expect(() => argumentsOf(options)).toThrow(why);
  });
});
