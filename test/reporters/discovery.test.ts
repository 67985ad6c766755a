import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse as yaml } from 'yaml';
import { DISCOVERIES, type Discovered } from '../../src/reporters/discovery.ts';

const SERVERS: readonly Discovered[] = [
  { label: 'ex01.example.com', host: 'ex01.example.com', port: 110, connectionType: 'tls', site: 'Site-A' },
  { label: 'mail.example.com port 995', host: 'mail.example.com', port: 995, connectionType: 'ssl', site: null },
  { label: '2001:db8::25', host: '2001:db8::25', port: 110, connectionType: 'tls', site: 'Zürich' },
];

const write = (format: string, servers: readonly Discovered[]): string => {
  const discovery = DISCOVERIES[format];
  if (discovery === undefined) throw new Error(`no such format: ${format}`);
  return discovery(servers);
};

const FORMATS = ['targets', 'zabbix', 'prometheus', 'icinga2', 'nagios'];

/** Names nobody has, in the places of names: what ends a string, a line, an object, or begins a macro or a remark. */
const HOSTILE = [
  'a"b',
  "a'b",
  'a\\',
  'a\\"',
  'a\nb',
  'a\r\nobject Host "evil" {',
  'a}\ndefine command {',
  'a;b',
  '#a',
  'a#b',
  '$HOSTNAME$',
  '$USER1$',
  'a!b',
  '{#LABEL}',
  '- a',
  'a: b',
  '[a]',
  '{{a}}',
  '`id`',
  '$(id)',
  'a|b',
  'a\u2028b',
  'a\0b',
  '"""',
  '/* a',
  '// a',
];
const hostile = (label: string): Discovered => ({ ...(SERVERS[0] as Discovered), label, site: label });

describe('the list of servers', () => {
  test('has the five forms that --discover takes', () => {
    expect(Object.keys(DISCOVERIES)).toEqual(FORMATS);
  });

  test.each(FORMATS)('is, for %s, as it always was', (format) => {
    const golden = readFileSync(new URL(`../golden/discovery/${format}.txt`, import.meta.url), 'utf8');
    expect(`${write(format, SERVERS)}\n`).toBe(golden);
  });

  test('no golden file is left over', () => {
    const files = readdirSync(new URL('../golden/discovery/', import.meta.url));
    expect(files.sort()).toEqual(FORMATS.map((format) => `${format}.txt`).sort());
  });

  test.each<[string, string]>([
    ['targets', ''],
    ['zabbix', '[]'],
    ['prometheus', '[]'],
    ['icinga2', ''],
    ['nagios', ''],
  ])('of none is, for %s, %j', (format, empty) => {
    expect(write(format, [])).toBe(empty);
  });
});

describe('read back by somebody else', () => {
  test('targets are YAML', () => {
    expect(yaml(write('targets', SERVERS))).toEqual(
      SERVERS.map(({ host, port, connectionType }) => ({
        ...{ 'client-access-server': host, 'port-client-access-server': port, 'connection-type': connectionType },
      })),
    );
  });

  test('Zabbix gets JSON whose values are texts, under macros alone', () => {
    const rows: readonly Record<string, unknown>[] = JSON.parse(write('zabbix', SERVERS));
    expect(rows.map((row) => row['{#LABEL}'])).toEqual(SERVERS.map(({ label }) => label));
    for (const row of rows) {
      for (const [name, value] of Object.entries(row)) {
        expect(name).toMatch(/^\{#[A-Z0-9_.]+\}$/);
        expect(typeof value).toBe('string');
      }
    }
  });

  test('Prometheus gets groups of one target, with labels that it takes', () => {
    const groups: readonly { targets: string[]; labels: Record<string, unknown> }[] = JSON.parse(
      write('prometheus', SERVERS),
    );
    expect(groups).toHaveLength(SERVERS.length);
    for (const [at, { targets, labels, ...more }] of groups.entries()) {
      expect(more).toEqual({});
      expect(targets).toHaveLength(1);
      // What `host:port` means: brackets keep the colons of an address apart.
      const { hostname, port } = new URL(`pop3://${targets[0]}`);
      expect([hostname.replace(/[[\]]/g, ''), Number(port)]).toEqual([SERVERS[at]?.host, SERVERS[at]?.port]);
      for (const [name, value] of Object.entries(labels)) {
        expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
        expect(typeof value).toBe('string');
      }
    }
  });

  test.each(HOSTILE)('%j stays one label to those that take JSON', (label) => {
    expect(JSON.parse(write('zabbix', [hostile(label)]))[0]).toMatchObject({ '{#LABEL}': label, '{#SITE}': label });
    expect(JSON.parse(write('prometheus', [hostile(label)]))[0].labels.site).toBe(label);
  });

  test.each(HOSTILE)('%j stays one host to Icinga', (label) => {
    const written = write('icinga2', [hostile(label), hostile('after')]);
    expect(hostsOfIcinga(written)).toEqual([label.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '_'), 'after']);
  });

  test.each(HOSTILE)('%j stays one host with one service to Nagios', (label) => {
    const objects = objectsOfNagios(write('nagios', [hostile(label), hostile('after')]));
    expect(objects.map(([type]) => type)).toEqual(['host', 'service', 'host', 'service']);
    const [host, service] = objects.map(([, lines]) => lines.find((line) => line.startsWith('host_name ')));
    expect(host?.replace(/ +/, ' ')).toBe(service?.replace(/ +/, ' '));
    // illegal_object_name_chars of Debian's nagios.cfg, and what begins a remark.
    expect(host?.slice('host_name'.length)).not.toMatch(/[`~!$%^&*|'"<>?,()=;]/);
  });

  test('and so does any other label', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), (label) => {
        fc.pre(/\S/.test(label));
        expect(hostsOfIcinga(write('icinga2', [hostile(label)]))).toHaveLength(1);
        expect(objectsOfNagios(write('nagios', [hostile(label)]))).toHaveLength(2);
        expect(JSON.parse(write('zabbix', [hostile(label)]))[0]['{#LABEL}']).toBe(label);
      }),
      { numRuns: 500 },
    );
  });
});

/** Icinga's language as far as it matters: a string ends at a quote with no backslash before it, and in its line. */
function hostsOfIcinga(text: string): readonly string[] {
  const names: string[] = [];
  let depth = 0;
  for (const line of text.split(/\r\n|[\n\r\u2028\u2029]/)) {
    const strings = [...line.matchAll(/"((?:\\.|[^"\\])*)"/gs)].map(([, value = '']) => value.replace(/\\(.)/gs, '$1'));
    const rest = line.replace(/"(?:\\.|[^"\\])*"/gs, '""');
    expect(rest, line).toMatch(
      /^(?:object Host "" \{| {2}check_command = ""| {2}vars\.pop3\[""\] = \{| {4}pop3_\w+ = (?:""|\d+|true)| {2}\}|\})$/,
    );
    if (depth === 0) names.push((strings[0] ?? '').replace(/\$\$/g, '$'));
    depth += (rest.match(/\{/g)?.length ?? 0) - (rest.match(/\}/g)?.length ?? 0);
  }
  expect(depth).toBe(0);
  return names;
}

/** Nagios reads lines: what opens an object, what closes it, and between them a name and a value. */
function objectsOfNagios(text: string): readonly (readonly [string, readonly string[]])[] {
  const objects: [string, string[]][] = [];
  let isOpen = false;
  for (const line of text.split(/[\n\r]/)) {
    const [, type] = /^define (\w+) \{$/.exec(line) ?? [];
    if (type !== undefined) objects.push([type, []]);
    else if (line !== '}') objects.at(-1)?.[1].push(line.trim());
    expect(isOpen, line).toBe(type === undefined);
    isOpen = line !== '}';
    if (isOpen && type === undefined) expect(line).toMatch(/^ {2}\w+ +\S/);
  }
  expect(isOpen).toBe(false);
  return objects;
}
