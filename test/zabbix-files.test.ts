import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { optionsOf } from '../src/cli/options.ts';
import { PLAIN_MANNER } from '../src/reporters/reporter.ts';
import { zabbix } from '../src/reporters/zabbix.ts';
import { judge } from '../src/verdict/judge.ts';
import { METRIC_NAMES } from '../src/verdict/metric.ts';
import { FILES } from '../tools/zabbix.mjs';
import { made, policy } from './support/people.ts';

const inTree = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const README = inTree('plugins/zabbix/README.md');

interface Step {
  readonly type: string;
  readonly parameters: readonly string[];
  readonly error_handler?: string;
  readonly error_handler_params?: string;
}

interface Item {
  readonly key: string;
  readonly type: string;
  readonly name: string;
  readonly preprocessing?: readonly Step[];
  readonly master_item?: { readonly key: string };
  readonly valuemap?: { readonly name: string };
}

interface Trigger {
  readonly name: string;
  readonly expression: string;
  readonly event_name?: string;
  readonly dependencies?: readonly { readonly name: string; readonly expression: string }[];
}

interface Template {
  readonly name: string;
  readonly items: readonly Item[];
  readonly macros: readonly { readonly macro: string; readonly value?: string; readonly description: string }[];
  readonly valuemaps: readonly { readonly name: string }[];
  readonly discovery_rules?: readonly (Item & {
    readonly item_prototypes: readonly Item[];
    readonly trigger_prototypes: readonly Trigger[];
    readonly graph_prototypes: readonly Graph[];
  })[];
}

interface Graph {
  readonly graph_items: readonly { readonly item: { readonly host: string; readonly key: string } }[];
}

interface Exported {
  readonly templates: readonly Template[];
  readonly triggers: readonly Trigger[];
  readonly graphs: readonly Graph[];
}

const exported = (release: string): Exported => parse(inTree(`plugins/zabbix/pop3-${release}.yaml`)).zabbix_export;
const OLDER = exported('6.0');
const NEWER = exported('7.0');

/** All items of a template, those of its discovery rules among them. */
const itemsOf = ({ items, discovery_rules = [] }: Template): readonly Item[] => [
  ...items,
  ...discovery_rules.flatMap((rule) => [rule, ...rule.item_prototypes]),
];

const triggersOf = (document: Exported, { name, discovery_rules = [] }: Template): readonly Trigger[] => [
  ...document.triggers.filter(({ expression }) => expression.includes(`/${name}/`)),
  ...discovery_rules.flatMap(({ trigger_prototypes }) => trigger_prototypes),
];

/** Everything in a document that has a name and a value, wherever. */
function leavesOf(value: unknown, path = ''): readonly (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, each]) => leavesOf(each, `${path}/${name}`));
}

test.each(Object.entries(FILES))('%s is up to date (else: node tools/zabbix.mjs)', (path, make) => {
  expect(inTree(path)).toBe(make());
});

test('the file for 7.0 differs from that for 6.0 in what the releases differ in, and in nothing else', () => {
  const different = /\/(version|date|vendor\/\w+|timeout|lifetime|lifetime_type)$|^\/(template_)?groups\//;
  const told = (document: Exported): readonly string[] =>
    leavesOf(document)
      .filter(([path]) => !different.test(path))
      .map(([path, value]) => {
        // Which errors a step is for has a number in 7.0; and a check has more time there.
        const isNumbered = path.endsWith('/preprocessing/0/parameters/0') && (value === '' || value === '-1');
        const isTime = value === '2.5' || value === '10';
        return `${path} ${isNumbered ? 'any' : isTime ? 'time' : value}`;
      });
  expect(told(NEWER)).toEqual(told(OLDER));
});

describe.each([
  ['6.0', OLDER],
  ['7.0', NEWER],
] as const)('the file for %s', (_, document) => {
  const leaves = leavesOf(document);

  test('has texts alone: Zabbix takes no number for one', () => {
    expect(leaves.filter(([, value]) => typeof value !== 'string')).toEqual([]);
  });

  test('gives each element an identity of its own, of version 4', () => {
    const uuids = leaves.filter(([path]) => path.endsWith('/uuid')).map(([, value]) => value);
    expect(new Set(uuids).size).toBe(uuids.length);
    for (const uuid of uuids) expect(uuid).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
  });

  describe.each(document.templates.map((template) => [template.name, template] as const))('%s', (name, template) => {
    const items = itemsOf(template);
    const triggers = triggersOf(document, template);
    const macros = template.macros.map(({ macro }) => macro);

    test('has its own master, value maps and keys, each key once', () => {
      const keys = items.map(({ key }) => key);
      expect(new Set(keys).size).toBe(keys.length);
      for (const { type, master_item, valuemap } of items) {
        expect(master_item === undefined).toBe(type !== 'DEPENDENT');
        if (master_item !== undefined) expect(keys).toContain(master_item.key);
        if (valuemap !== undefined) expect(template.valuemaps.map((map) => map.name)).toContain(valuemap.name);
      }
    });

    test('has a macro for every threshold: no expression has a number but for states and the end of a certificate', () => {
      expect(triggers.length).toBeGreaterThan(6);
      for (const { expression } of triggers) {
        const numbers = expression.replace(/>=[012]\b|=[123]\b/g, '').replace(/"[^"]*"/g, '');
        expect(numbers.replaceAll('POP3', '').replaceAll('pop3', ''), expression).not.toMatch(/\d/);
      }
    });

    test('declares every macro it uses, uses every one it declares, and the README tells of each', () => {
      const text = JSON.stringify([template.items, template.discovery_rules ?? [], triggers]);
      const used = [...text.matchAll(/\{\$([A-Z0-9.]+)/g)].map(([, macro]) => `{$${macro}}`);
      expect([...new Set(used)].sort()).toEqual([...macros].sort());
      for (const macro of macros) expect(README, macro).toContain(`\`${macro}\``);
    });

    test('has triggers that name items of its own, and wait for triggers of its own', () => {
      const keys = items.map(({ key }) => key);
      for (const { expression, event_name = '', dependencies = [] } of triggers) {
        const named = [...expression.matchAll(/\/([^/]+)\/([^,)]+)/g)].map(([, host, key]) => [host, key]);
        expect(named.length).toBeGreaterThan(0);
        for (const [host, key] of named) expect([host, keys.includes(String(key))]).toEqual([name, true]);
        for (const [, key] of event_name.matchAll(/\{\?last\(\/\/([^)]+)\)\}/g)) expect(keys).toContain(key);
        const known = triggers.map((each) => `${each.name} ${each.expression}`);
        for (const master of dependencies) expect(known).toContain(`${master.name} ${master.expression}`);
      }
    });

    test('gives the check options that it has, and no secret', () => {
      const options = optionsOf('zabbix_pop3');
      for (const { key } of items.filter(({ type }) => type === 'EXTERNAL')) {
        expect(key).toMatch(/^zabbix_pop3\["[^"]+"(,"[^"]+")*\]$/);
        const given = [...key.matchAll(/"--([a-z0-9-]+)(=?)/g)];
        expect(given.length).toBe(key.split('","').length);
        for (const [, option, value] of given) {
          const known = options.find((each) => each.name === option);
          expect(known, option).toBeDefined();
          expect(known?.secret, option).toBeUndefined();
          expect(known?.kind === 'flag', option).toBe(value === '');
        }
      }
    });

    test('draws items of its own', () => {
      const graphs = [
        ...document.graphs.filter(({ graph_items }) => graph_items[0]?.item.host === name),
        ...(template.discovery_rules ?? []).flatMap(({ graph_prototypes }) => graph_prototypes),
      ];
      expect(graphs.length).toBeGreaterThan(0);
      const drawn = graphs.flatMap(({ graph_items }) => graph_items.map(({ item }) => item));
      for (const { host, key } of drawn) expect([host, items.some((item) => item.key === key)]).toEqual([name, true]);
    });

    /** A test that reached everything: each phase, each value. */
    const everything = judge(
      made({
        phases: METRIC_NAMES.filter((metric) => metric.startsWith('time_')).map((metric) => ({
          name: metric.slice('time_'.length) as 'dns',
          ms: 1,
        })),
      }),
      policy(),
    );
    const full = zabbix(everything, PLAIN_MANNER).stdout.trim();

    test('finds in what the check prints what each of its items is to hold', () => {
      for (const { key, preprocessing = [] } of items.filter(({ type }) => type === 'DEPENDENT')) {
        const path = preprocessing.find(({ type }) => type === 'JSONPATH')?.parameters[0] as string;
        expect(find(path.replaceAll('{#LABEL}', everything.text), JSON.parse(full)), key).toBeDefined();
      }
    });

    test('takes the value of the check as it is, and no refusal for one', () => {
      for (const { key, preprocessing = [] } of template.items.filter(({ type }) => type !== 'DEPENDENT')) {
        const [pattern = '', output] = preprocessing.find(({ type }) => type === 'CHECK_REGEX_ERROR')?.parameters ?? [];
        expect(full, key).not.toMatch(new RegExp(pattern));
        expect(output).toBe('\\1');
        const refusal = 'POP3 UNKNOWN - usage, no server - see --help';
        expect(new RegExp(pattern).exec(refusal)?.[1]).toBe(refusal);
      }
    });

    test('tells of a check that Zabbix ended, in a value whose parts are found', () => {
      const steps = template.items.flatMap(({ preprocessing = [] }) => preprocessing);
      const fallbacks = steps.filter(({ type }) => type === 'CHECK_NOT_SUPPORTED');
      expect(fallbacks).toHaveLength(template.items.some(({ type }) => type === 'EXTERNAL') ? 1 : 0);
      for (const { error_handler, error_handler_params = '' } of fallbacks) {
        expect(error_handler).toBe('CUSTOM_VALUE');
        const value = JSON.parse(error_handler_params);
        for (const { preprocessing = [] } of template.items.filter(({ type }) => type === 'DEPENDENT')) {
          const [first] = preprocessing;
          // What may be missing is discarded; the rest has to be there.
          if (first?.error_handler === undefined) expect(find(first?.parameters[0] as string, value)).toBeDefined();
        }
        expect(value).toMatchObject({ status: 3, state: 'UNKNOWN' });
      }
    });
  });
});

/** As much of JSONPath as the templates need. */
function find(path: string, document: unknown): unknown {
  let found: unknown = document;
  let rest = path.slice(1);
  while (rest !== '') {
    const [whole, call, name, field, wanted] =
      /^(?:\.(first|length)\(\)|\.(\w+)|\[\?\(@\.(\w+) == "([^"]*)"\)\])/.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`no JSONPath: ${rest} in ${path}`);
    rest = rest.slice(whole.length);
    if (name !== undefined) {
      found = Array.isArray(found)
        ? found.map((each) => each?.[name]).filter((each) => each !== undefined)
        : (found as Record<string, unknown> | undefined)?.[name];
    } else if (field !== undefined) {
      found = (found as Record<string, unknown>[]).filter((each) => each[field] === wanted);
    } else {
      found = call === 'first' ? (found as unknown[])[0] : (found as unknown[]).length;
    }
  }
  return found;
}
