import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { zabbix, zabbixDiscovery, zabbixValue } from '../../src/reporters/zabbix.ts';
import { gather, judge, refuse, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';

/** A sweep as a run makes it: without a name of its own. */
const FARM: Verdict = { ...SWEEP, text: '' };
const NO_SERVER = refuse({ phase: null, reason: 'usage', message: 'no server', hint: 'see --help' });

const print = (verdict: Verdict): string => {
  const { stdout, stderr } = zabbix(verdict, PIPED);
  expect(stderr).toBeUndefined(); // Zabbix would take it for a part of the value
  return stdout;
};

/** What a master item's value has to be: one object on one line; Zabbix trims what is behind it. */
interface Value {
  readonly status: number;
  readonly state: string;
  readonly text: string;
  readonly reason?: string;
  readonly latency?: number;
  readonly metrics?: Readonly<Record<string, number>>;
  readonly servers?: readonly (Value & { readonly server: string })[];
}

function read(output: string): Value {
  expect(output).toMatch(/^\{[^\p{Cc}]*\}\n$/u);
  const value = JSON.parse(output) as Value;
  for (const each of [value, ...(value.servers ?? [])]) {
    expect(each.status).toBe(['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'].indexOf(each.state));
    expect(each.text).toMatch(new RegExp(`^POP3 ${each.state} - `));
    for (const [name, number] of Object.entries(each.metrics ?? {})) expect(number, name).toBeTypeOf('number');
  }
  return value;
}

/** Golden files were written by hand. */
describe('what Zabbix is given, whole', () => {
  const words = '1 "x" y=1;2|z \\nCRIT';
  const CASES: readonly [file: string, verdict: Verdict, exitCode?: number][] = [
    ['success.json', judge(GOOD, policy())],
    ['failure.json', judge(failed(REFUSED), policy())],
    ['skip.json', judge(skipped('ex03.contoso.com'), policy())],
    ['sweep.json', FARM],
    [
      'hostile.json',
      judge(
        failed({ ...REFUSED, message: `server said "${words}"`, hint: words }, { casServer: 'a"b\\c|d' }),
        policy(),
      ),
    ],
    ['refusal.txt', NO_SERVER, 3],
  ];
  test.each(CASES)('%s', (file, verdict, exitCode = 0) => {
    expect(print(verdict)).toBe(readFileSync(new URL(`../golden/zabbix/${file}`, import.meta.url), 'utf8'));
    expect(zabbix(verdict, PIPED).exitCode).toBe(exitCode);
  });

  test('no golden file is left over', () => {
    const files = readdirSync(new URL('../golden/zabbix/', import.meta.url));
    expect(files.sort()).toEqual(CASES.map(([file]) => file).sort());
  });
});

test('every value that is charted elsewhere is there, and is the same', () => {
  const verdict = judge(GOOD, policy());
  const { metrics = {} } = read(print(verdict));
  expect(Object.keys(metrics)).toEqual(verdict.metrics.map(({ name }) => name));
  for (const { name, value } of verdict.metrics) expect(metrics[name]).toBeCloseTo(value, 6);
});

test('a value has no exponent, however small it is', () => {
  const verdict = judge(made({ latencyMs: 0.0001, phases: [{ name: 'dns', ms: 0.004 }] }), policy());
  expect(print(verdict)).not.toMatch(/\d[eE][+-]?\d/);
});

test('a test that failed has no latency; one that only warns has, and the reason of its warning', () => {
  expect(read(print(judge(failed(REFUSED), policy())))).not.toHaveProperty('latency');
  const warning = { ...REFUSED, reason: 'not-deleted', phase: 'delete' } as const;
  expect(read(print(judge(made({ warnings: [warning] }), policy())))).toMatchObject({
    ...{ status: 1, reason: 'not-deleted', phase: 'delete', latency: 2.3104 },
  });
});

test('a warning that counts for none is no reason', () => {
  const warning = { ...REFUSED, reason: 'not-deleted', phase: 'delete' } as const;
  const excused = policy({ severity: new Map([['not-deleted', 'ok']]) });
  expect(read(print(judge(made({ warnings: [warning] }), excused)))).toMatchObject({ status: 0, reason: '' });
});

test('where nothing of the server was measured there is no time to chart', () => {
  const verdict = judge(failed({ ...REFUSED, phase: 'token', reason: 'token-refused' }), policy());
  expect(read(print(verdict))).toMatchObject({ status: 3, reason: 'token-refused', metrics: {} });
});

test('of several addresses each is there under the name of the server, also one that was not tested', () => {
  const at = (address: string): TestVerdict => ({ ...judge(GOOD, policy()), text: address });
  const verdict = gather('mail.example.com', [at('192.0.2.1'), remark('unknown', '192.0.2.2: not tested')]);
  expect(read(print(verdict)).servers?.map(({ server, state }) => [server, state])).toEqual([
    ['mail.example.com 192.0.2.1', 'OK'],
    ['mail.example.com 192.0.2.2', 'UNKNOWN'],
  ]);
});

test('a trapper item is given the same, without the list of the one server', () => {
  const verdict = judge(GOOD, policy());
  const { servers, ...value } = JSON.parse(print(verdict));
  expect(JSON.parse(zabbixValue(verdict))).toEqual(value);
  expect(JSON.parse(zabbixValue(FARM))).toEqual(JSON.parse(print(FARM)));
  expect(servers).toHaveLength(1);
});

test.each(HOSTILE)('%j stays in its place', (words) => {
  const value = read(print(hostile(words)));
  expect(value).toMatchObject({ status: 2, reason: 'login-refused', phase: 'login', tls: 'TLSv1.3' });
  expect(value.servers).toHaveLength(1);
});

test('a sweep of 400 servers is within what Zabbix 6.0 takes, 512 KiB', () => {
  const many = gather(
    '',
    Array.from({ length: 400 }, (_, at) =>
      judge(failed(REFUSED, { casServer: `pop-${at}.a-rather-long-name.example.com` }), policy()),
    ),
  );
  const output = print(many);
  expect(Buffer.byteLength(output)).toBeLessThan(512 * 1024);
  expect(read(output).servers).toHaveLength(400);
});

test('discovery lists each server under the name that the value has', () => {
  const found = zabbixDiscovery([
    { label: 'mail.example.com port 995', server: 'mail.example.com' },
    { label: 'ex"01', server: 'ex"01' },
  ]);
  expect(JSON.parse(found)).toEqual([
    { '{#LABEL}': 'mail.example.com port 995', '{#SERVER}': 'mail.example.com' },
    { '{#LABEL}': 'ex"01', '{#SERVER}': 'ex"01' },
  ]);
});
