import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Secured, TlsFacts } from '../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import { maskFor, Secret } from '../src/dialogue/secret.ts';
import { type ProbePlan, probe } from '../src/probe/probe.ts';
import type { ProbeResult, Problem, Spoken } from '../src/probe/result.ts';
import { problemOf } from '../src/probe/tell.ts';
import type { Link, World } from '../src/probe/world.ts';
import { nagios } from '../src/reporters/nagios.ts';
import { PLAIN_MANNER } from '../src/reporters/reporter.ts';
import { gather, judge, type Policy, refuse, remark, type TestVerdict, type Verdict } from '../src/verdict/judge.ts';
import { METRIC_NAMES, type Metric, type MetricName } from '../src/verdict/metric.ts';
import { parseRange, type Range } from '../src/verdict/range.ts';
import type { State } from '../src/verdict/severity.ts';
import { GOOD_LOGON, GOOD_TLS, GOOD_TRIP } from './support/samples.ts';

/** Text of any characters at all, halves of one and controls too; fast-check's own takes a second to set up. */
const anyText = (maxLength = 20): fc.Arbitrary<string> =>
  fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff)), { maxLength }).map((points) => String.fromCodePoint(...points));

const golden = (name: string): string => readFileSync(new URL(`golden/nagios/${name}.txt`, import.meta.url), 'utf8');

const TLS: TlsFacts = { ...GOOD_TLS, names: ['mail.example.com', 'pop.example.com'] };

const GOOD: ProbeResult = { ...GOOD_LOGON, tls: TLS };

/** A verdict with these metrics, whatever they are. */
const charting = (metrics: readonly Metric[]): TestVerdict => ({
  ...{ state: 'ok', text: 'x', summary: '', parts: [], result: GOOD, metrics },
  ...{ isUnexpected: false, conversation: [] },
});

const made = (more: Partial<ProbeResult>): ProbeResult => ({ ...GOOD, ...more }) as ProbeResult;
const failed = (error: Problem, latencyMs: number, more: Partial<ProbeResult> = {}): ProbeResult => {
  const unreached = { phases: [], tls: null, capabilities: null, mailbox: null };
  return { ...GOOD, ...unreached, result: 'Failure', latencyMs, error, ...more } as ProbeResult;
};

const PLAN: ProbePlan = {
  server: 'mail.example.com',
  mailboxServer: null,
  known: [],
  localSite: null,
  visit: {
    to: { address: '192.0.2.1', family: 4 },
    port: 110,
    connectionType: 'tls',
    viaProxy: false,
    trustAnyCertificate: false,
    login: { kind: 'password', method: 'auto', userName: 'probe@example.com', password: new Secret('correct horse') },
  },
  link: {
    family: 0,
    proxy: null,
    tls: { identity: 'mail.example.com', sni: null, authorities: null, clientCertificate: null, pins: [] },
  },
  tokens: null,
  fullTest: null,
  timeoutMs: 50_000,
  perConnectionTimeoutMs: 50_000,
  trace: true,
};
const told = (failure: ProbeFailure): Problem => problemOf(failure, PLAN, maskFor([new Secret('correct horse')]));
const refusedLogin = (said: string): Problem => told(new ProbeFailure('login-refused', '', { said, phase: 'login' }));
const REFUSED = told(
  new ProbeFailure('connection-refused', '192.0.2.1 port 110: the connection was refused (ECONNREFUSED)', {
    phase: 'connect',
  }),
);

const ranges = (set: Readonly<Record<string, string>>): Policy['warning'] =>
  new Map(Object.entries(set).map(([name, text]) => [name, parseRange(text) as Range])) as Policy['warning'];
/** -w 5 -c 10, unless told otherwise. */
const policy = (more: Partial<Policy> = {}): Policy => ({
  warning: ranges({ time: '5' }),
  critical: ranges({ time: '10' }),
  certificateDefaults: true,
  severity: new Map(),
  expect: null,
  remarks: [],
  ...more,
});

const CONVERSATION: readonly Spoken[] = [
  { atMs: 15.02, who: '*', words: 'connected to 192.0.2.1 port 110' },
  { atMs: 19.3, who: 'S', words: '+OK ready | steady' },
  { atMs: 19.41, who: 'C', words: 'USER probe@example.com' },
  { atMs: 20, who: 'S', words: '+OK' },
  { atMs: 20.1, who: 'C', words: 'PASS ****' },
  { atMs: 1104.2, who: 'S', words: '+OK' },
];
const REFUSED_CONVERSATION: readonly Spoken[] = [
  { atMs: 3, who: '*', words: 'connection-refused: 192.0.2.1 port 110: the connection was refused (ECONNREFUSED)' },
];

const TRIP_PHASES: ProbeResult['phases'] = [
  { name: 'login', ms: 84 },
  { name: 'send', ms: 210.4 },
  { name: 'delivery', ms: 1900.2 },
  { name: 'retrieve', ms: 3.1 },
  { name: 'delete', ms: 4 },
  { name: 'verify', ms: 95 },
];
const ALTERED = told(new ProbeFailure('altered', '2 lines were added after its text', { phase: 'retrieve' }));
const LOST = told(
  new ProbeFailure('not-delivered', 'taken by mail.example.com port 587, not in the mailbox after 47.7 s', {
    phase: 'delivery',
  }),
);

/**
 * Golden files were written by hand and are never written by a test. To check one: line 1 is
 * `POP3 STATE - server: clause | performance data` (design §5), the gravest clause first; a value in it is the same
 * as in the performance data, rounded for people; performance data is `label=value[s];warning;critical;least`, empty
 * ends left out (Monitoring Plugins guidelines, "Performance data"), a threshold as the range it is; a metric that
 * was not measured is not there. What `-v` adds follows, without a second `|`.
 */
describe('what Nagios reads, whole', () => {
  const slow = policy({ warning: ranges({ time: '2' }) });
  const inUse = told(new ProbeFailure('mailbox-in-use', 'another session', { phase: 'quit' }));
  const CASES: readonly [string, ProbeResult, Policy, number, number, (readonly Spoken[])?][] = [
    ['ok', GOOD, policy(), 0, 0],
    [
      'ok-remark',
      GOOD,
      policy({ remarks: ['a password on the command line is seen by everyone on this machine'] }),
      0,
      0,
    ],
    [
      'ok-plaintext',
      made({
        latencyMs: 31,
        tls: null,
        mailbox: { messages: 0, octets: 0 },
        phases: [
          { name: 'connect', ms: 0.6 },
          { name: 'login', ms: 4.1 },
        ],
      }),
      policy(),
      0,
      0,
    ],
    [
      'ok-short-lived',
      made({ tls: { ...TLS, daysLeft: 3.75, lifetimeDays: 6 }, mailbox: null, phases: [] }),
      policy(),
      0,
      0,
    ],
    ['warning-slow', GOOD, slow, 0, 1],
    ['critical-several', made({ tls: { ...TLS, daysLeft: 6.2 }, warnings: [inUse] }), slow, 0, 2],
    ['critical-expired-trusted', made({ tls: { ...TLS, daysLeft: -2.4 }, mailbox: null, phases: [] }), policy(), 0, 2],
    ['critical-login-refused', failed(refusedLogin('-ERR [AUTH] Authentication failed.'), 112), policy(), 0, 2],
    [
      'critical-hostile',
      failed(refusedLogin('-ERR a|b=1;2 c|d\r\nPOP3 OK - fine | time=0s\x1b[2J'), 112),
      policy(),
      0,
      2,
    ],
    [
      'unknown-dns',
      failed(
        told(new ProbeFailure('dns-unavailable', 'no answer about mail.example.com within 4 s', { phase: 'dns' })),
        4000,
        { phases: [{ name: 'dns', ms: 4000 }], address: null },
      ),
      policy(),
      0,
      3,
    ],
    ['ok-round-trip', made({ roundTrip: GOOD_TRIP, phases: TRIP_PHASES }), policy(), 0, 0],
    ['ok-round-trip-v', made({ roundTrip: GOOD_TRIP, phases: TRIP_PHASES }), policy(), 1, 0],
    [
      'ok-split-first',
      made({
        latencyMs: 310,
        roundTrip: {
          ...GOOD_TRIP,
          deliveryMs: null,
          polls: 0,
          retrieved: false,
          deleted: false,
          verified: false,
          hops: [],
        },
      }),
      policy(),
      0,
      0,
    ],
    [
      'warning-altered-round-trip',
      made({ roundTrip: { ...GOOD_TRIP, stale: 2, staleRemoved: 2 }, phases: TRIP_PHASES, warnings: [ALTERED] }),
      policy(),
      0,
      1,
    ],
    [
      'critical-not-delivered',
      failed(LOST, 48_000, {
        phases: [{ name: 'delivery', ms: 47_700 }],
        mailbox: { messages: 3, octets: 4096 },
        roundTrip: { ...GOOD_TRIP, deliveryMs: null, polls: 9, retrieved: false, deleted: false, verified: false },
      }),
      policy({ critical: ranges({ time: '60' }), warning: ranges({ time: '55' }) }),
      0,
      2,
    ],
    ['ok-v', GOOD, policy(), 1, 0],
    ['ok-vv', GOOD, policy(), 2, 0],
    ['ok-vvv', GOOD, policy(), 3, 0, CONVERSATION],
    [
      'critical-refused-vvv',
      failed(REFUSED, 3, { phases: [{ name: 'connect', ms: 3 }], address: null }),
      policy(),
      3,
      2,
      REFUSED_CONVERSATION,
    ],
  ];

  test.each(CASES)('%s', (name, result, given, verbosity, exitCode, conversation = []) => {
    const report = nagios(judge(result, given, conversation), { ...PLAIN_MANNER, verbosity });
    expect(report.stdout).toBe(golden(name));
    expect(report.exitCode).toBe(exitCode);
  });

  test('unknown-usage: a run without a result has no performance data', () => {
    const problem = {
      phase: null,
      reason: 'usage',
      message: 'no server: give --client-access-server HOST (-H)',
      hint: 'see --help',
    } as const;
    const report = nagios(refuse(problem), { ...PLAIN_MANNER, verbosity: 3 });
    expect(report.stdout).toBe(golden('unknown-usage'));
    expect(report.exitCode).toBe(3);
  });

  test('no golden file is left over', () => {
    const files = readdirSync(new URL('golden/nagios/', import.meta.url));
    expect(files.sort()).toEqual([...CASES.map(([name]) => `${name}.txt`), 'unknown-usage.txt'].sort());
  });
});

describe('the exit code', () => {
  test.each<[State, number]>([
    ['ok', 0],
    ['warning', 1],
    ['critical', 2],
    ['unknown', 3],
  ])('of %s is %d, and the line says the same', (state, exitCode) => {
    const report = nagios({ state, text: '', parts: [{ state, text: 'x', parts: [] }] }, MANNER);
    expect(report.exitCode).toBe(exitCode);
    expect(report.stdout).toMatch(new RegExp(`^POP3 ${state.toUpperCase()} - `));
  });
});

const MANNER = PLAIN_MANNER;

interface Read {
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  readonly rest: readonly string[];
}

/** Performance data as the guidelines have it, read without anything of ours; empty ends mean nothing. */
function readPerfdata(output: string): readonly Read[] {
  const [first = ''] = output.split('\n');
  const at = first.indexOf('|');
  if (at < 0) return [];
  return first
    .slice(at + 1)
    .trim()
    .split(' ')
    .map((each) => {
      const parts = /^([^=' ]+)=(-?[0-9]+(?:\.[0-9]+)?)([a-zA-Z%]*)((?:;[^; ]*){0,4})$/.exec(each);
      if (parts === null) throw new Error(`no performance data: ${each}`);
      const [, label = '', value = '', unit = '', rest = ''] = parts;
      return { label, value: Number(value), unit, rest: rest.replace(/;+$/, '').split(';').slice(1) };
    });
}

describe('performance data read back', () => {
  test('has the values, units and bounds that were measured', () => {
    const verdict = judge(GOOD, policy({ warning: ranges({ time: '@1:5', messages: '~:1000' }) }));
    expect(readPerfdata(nagios(verdict, MANNER).stdout)).toEqual([
      { label: 'time', value: 2.31, unit: 's', rest: ['@1:5', '10', '0'] },
      { label: 'time_dns', value: 0.002, unit: 's', rest: ['', '', '0'] },
      { label: 'time_connect', value: 0.013, unit: 's', rest: ['', '', '0'] },
      { label: 'time_login', value: 0.084, unit: 's', rest: ['', '', '0'] },
      { label: 'messages', value: 3, unit: '', rest: ['~:1000', '', '0'] },
      { label: 'octets', value: 4096, unit: '', rest: ['', '', '0'] },
      { label: 'certificate', value: 74, unit: '', rest: ['21:', '7:'] },
    ]);
  });

  const metric = fc
    .record({
      name: fc.constantFrom<MetricName>('time', 'time_login', 'messages', 'octets', 'certificate'),
      tiny: fc.double({ min: 0, max: 1e-6, noNaN: true }),
      usual: fc.double({ min: 0, max: 3600, noNaN: true }),
      huge: fc.maxSafeNat(),
      days: fc.integer({ min: -4_000_000, max: 4_000_000 }),
      size: fc.constantFrom<'tiny' | 'usual' | 'huge'>('tiny', 'usual', 'huge'),
    })
    .map(({ name, tiny, usual, huge, days, size }): Metric => {
      const bare = { warning: null, critical: null };
      if (name === 'certificate') return { name, value: days / 100, unit: '', least: null, ...bare };
      if (name === 'messages' || name === 'octets') return { name, value: huge, unit: '', least: 0, ...bare };
      return { name, value: size === 'tiny' ? tiny : usual, unit: 's', least: 0, ...bare };
    });

  test('is fixed-point with a point, never an exponent, however small or large the value', () => {
    fc.assert(
      fc.property(fc.uniqueArray(metric, { selector: ({ name }) => name, minLength: 1 }), (metrics) => {
        const verdict = charting(metrics);
        const { stdout } = nagios(verdict, MANNER);
        // The same numbers stand in the words before.
        expect(stdout).not.toMatch(/[0-9]e[+-]?[0-9]|NaN|Infinity/);
        const read = readPerfdata(stdout);
        expect(read.map(({ label }) => label)).toEqual(metrics.map(({ name }) => name));
        for (const [at, { value, unit }] of read.entries()) {
          const { value: expected, unit: expectedUnit } = metrics[at] as Metric;
          expect(unit).toBe(expectedUnit);
          expect(Math.abs(value - expected)).toBeLessThanOrEqual(expectedUnit === 's' ? 0.00051 : 0.0051);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test.each(METRIC_NAMES)('%s is a label without quotes that every platform takes', (name) => {
    const metrics = [{ name, value: 1, unit: '', warning: null, critical: null, least: 0 }] as const;
    const verdict = charting(metrics);
    expect(readPerfdata(nagios(verdict, MANNER).stdout)[0]?.label).toMatch(/^[A-Za-z][A-Za-z0-9_]*$/);
  });
});

describe('whatever a server says', () => {
  const SECURED: Secured = { facts: TLS, faults: [], bindings: new Map() };

  /** A server that says these things one after the other, whatever it is asked. */
  function saying(said: readonly string[], secured: Secured): World {
    const turns = said.map((words) => Buffer.from(words, 'utf8')).filter(({ length }) => length > 0);
    let clock = 0;
    const link: Link = {
      resolve: async () => [],
      reachProxy: async () => ({ address: '192.0.2.9', port: 1080 }),
      connect: async () => ({ address: '192.0.2.1', dead: [] }),
      secure: async () => secured,
      read: async () => turns.shift() ?? null,
      write: async () => undefined,
      close: () => undefined,
    };
    return {
      dial: () => link,
      timer: () => () => undefined,
      now: () => {
        clock += 1.5;
        return clock;
      },
      date: () => new Date('2026-01-16T12:00:00Z'),
      hash: () => Promise.reject(new Error('unused')),
      random: (length) => new Uint8Array(length),
      send: null,
      memory: null,
      token: null,
    };
  }

  const words = fc.oneof(
    anyText(60),
    fc.string({ unit: fc.constantFrom('|', '\t', '\x1b', '\u0085', '\u2028', 'a', '='), maxLength: 30 }),
    fc.constantFrom('POP3 OK - fine | time=0s', 'x'.repeat(2000), '📧'.repeat(300), "'; '|;"),
  );
  const line = fc.tuple(fc.constantFrom('+OK ', '-ERR ', ''), words).map(([status, said]) => `${status}${said}\r\n`);
  const server = fc.oneof(
    fc.array(line, { maxLength: 6 }),
    fc
      .tuple(line, words)
      .map(([last, said]) => [
        `+OK ${said.replace(/[\r\n]/g, '')}\r\n`,
        `+OK\r\nSTLS\r\nUSER\r\nX-${said.replace(/[\r\n]/g, '')}\r\n.\r\n`,
        '+OK\r\n',
        '+OK\r\nUSER\r\n.\r\n',
        '+OK\r\n',
        last,
        '+OK 3 120\r\n',
        '+OK\r\n',
      ]),
  );

  test('there is one | and it is on line 1, no control character, and performance data that reads back', async () => {
    const states = new Set<string>();
    await fc.assert(
      fc.asyncProperty(server, words, fc.nat(3), async (said, subject, verbosity) => {
        const secured = { ...SECURED, facts: { ...TLS, subject, issuer: subject, names: [subject] } };
        const { result, conversation } = await probe(PLAN, saying(said, secured), null, PLAN.timeoutMs);
        const verdict = judge(result, policy(), conversation);
        const { stdout, exitCode } = nagios(verdict, { ...PLAIN_MANNER, verbosity });
        states.add(verdict.state);
        const lines = stdout.split('\n');
        expect(stdout.split('|')).toHaveLength(2);
        expect(lines[0]).toContain(' | ');
        expect(lines.pop()).toBe('');
        for (const each of lines) expect(each).toMatch(/^[^\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e]+$/u);
        expect(readPerfdata(stdout).map(({ label }) => label)).toEqual(verdict.metrics.map(({ name }) => name));
        expect([0, 1, 2, 3]).toContain(exitCode);
        if (verbosity === 0) {
          expect(lines).toHaveLength(1);
          expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(1024);
        }
      }),
      { numRuns: 1500 },
    );
    expect([...states]).toEqual(expect.arrayContaining(['ok', 'critical']));
  });
});

describe('the default output stays under 1 KiB', () => {
  const everyPhase = ['dns', 'connect', 'tls', 'greeting', 'capabilities', 'stls', 'login', 'mailbox', 'quit'] as const;
  const phases = everyPhase.map((name) => ({ name, ms: 49_999.9 }));
  const host = `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}`; // 253, the longest name there is (RFC 1035)

  test.each([
    ['a good run with every phase', made({ phases })],
    ['a refused logon in many words', failed(refusedLogin(`-ERR ${'no '.repeat(1000)}`), 112, { phases, tls: TLS })],
    [
      'a refused logon in words of three octets a letter',
      failed(refusedLogin(`-ERR ${'错误'.repeat(1000)}`), 112, { phases, tls: TLS }),
    ],
    [
      'ten warnings',
      made({
        phases,
        warnings: Array.from({ length: 10 }, () =>
          told(new ProbeFailure('certificate-untrusted', 'x'.repeat(300), { phase: 'tls' })),
        ),
      }),
    ],
    [
      'the longest host name and the longest user name (255 octets of USER)',
      failed(
        problemOf(
          new ProbeFailure('login-refused', '', { said: `-ERR ${'no '.repeat(50)}`, phase: 'login' }),
          {
            ...PLAN,
            server: host,
            visit: { ...PLAN.visit, login: { ...PLAN.visit.login, userName: 'u'.repeat(248) } },
          },
          maskFor([]),
        ),
        112,
        { phases, casServer: host, tls: TLS },
      ),
    ],
  ])('%s', (_, result) => {
    const { stdout } = nagios(judge(result, policy()), MANNER);
    expect(Buffer.byteLength(stdout)).toBeLessThan(1024);
    expect(stdout.split('\n')).toHaveLength(2);
  });
});

test('-v tells of addresses that did not answer before the one that did, and nothing less does', () => {
  const problem = '192.0.2.9 port 110: the connection was refused (ECONNREFUSED)';
  const verdict = judge(made({ deadAddresses: [{ address: '192.0.2.9', problem }] }), policy());
  expect(nagios(verdict, { ...MANNER, verbosity: 1 }).stdout).toContain(`\nnot reached: 192.0.2.9, ${problem}\n`);
  expect(nagios(verdict, MANNER).stdout).not.toContain('192.0.2.9');
});

describe('several tests', () => {
  const failing = made({
    result: 'Failure',
    error: {
      phase: 'connect',
      reason: 'connection-refused',
      message: '192.0.2.1 port 110: the connection was refused (ECONNREFUSED)',
      hint: 'check that the POP3 service runs and listens on port 110',
    },
    tls: null,
  } as Partial<ProbeResult>);
  const at = (address: string, result: ProbeResult): TestVerdict => ({ ...judge(result, policy()), text: address });
  const farm = (good: number, bad: number) =>
    gather('farm.example.com', [
      ...Array.from({ length: good }, (_, n) => at(`192.0.2.${n + 1}`, made({}))),
      ...Array.from({ length: bad }, (_, n) => at(`198.51.100.${n + 1}`, failing)),
      remark('ok', 'a password on the command line'),
    ]);

  test('are summed up, the worst first, each remark said once', () => {
    const { stdout, exitCode } = nagios(farm(2, 1), MANNER);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(
      /^POP3 CRITICAL - farm\.example\.com: 3 addresses, 1 critical, 2 ok \(a password on the command line\) \| /,
    );
    expect(lines[1]).toMatch(/^\[CRITICAL\] 198\.51\.100\.1: connection-refused, /);
    expect(lines[2]).toMatch(/^\[OK\] 192\.0\.2\.1: logon /);
    expect(stdout.match(/command line/g)).toHaveLength(1);
    expect(exitCode).toBe(2);
  });

  test('keep the order of their performance data whatever their state', () => {
    const labels = (verdict: Verdict): readonly string[] =>
      nagios(verdict, MANNER).stdout.match(/'[^']*::time'/g) ?? [];
    const turned = gather('farm', [at('192.0.2.1', failing), at('192.0.2.2', made({})), at('192.0.2.3', made({}))]);
    const good = gather('farm', [at('192.0.2.3', made({})), at('192.0.2.1', made({})), at('192.0.2.2', failing)]);
    expect(labels(turned)).toEqual(labels(good));
  });

  test('are twenty lines at the most, below NRPE within 1 KiB, and say what was left out', () => {
    for (const [good, bad] of [
      [0, 8],
      [6, 4],
      [9, 0],
      [9, 30],
    ] as const) {
      const wide = nagios(farm(good, bad), MANNER).stdout;
      expect(wide.match(/^\[/gm)).toHaveLength(Math.min(20, good + bad));
      expect(/\n… and 19 more; -v shows them\n$/.test(wide)).toBe(good + bad > 20);
      const { stdout } = nagios(farm(good, bad), { ...MANNER, isNarrow: true });
      expect(Buffer.byteLength(stdout), stdout).toBeLessThanOrEqual(1024);
      if (good + bad > 8) expect(stdout).toMatch(/\n… and \d+ more; -v shows them\n$/);
    }
    expect(nagios(farm(0, 30), { ...MANNER, verbosity: 1 }).stdout.match(/^\[CRITICAL\] 198/gm)).toHaveLength(30);
  });

  test('one that was not reached in time is not forgotten', () => {
    const verdict = gather('farm', [at('192.0.2.1', made({})), remark('unknown', '192.0.2.2: not tested')]);
    const { stdout, exitCode } = nagios(verdict, MANNER);
    expect(stdout).toContain('POP3 UNKNOWN - farm: 2 addresses, 1 unknown, 1 ok | ');
    expect(stdout).toContain('\n[UNKNOWN] 192.0.2.2: not tested\n');
    expect(exitCode).toBe(3);
  });
});

describe('through an NRPE that cuts after 1 KiB', () => {
  const NARROW = { ...PLAIN_MANNER, isNarrow: true };
  const octets = (text: string): number => Buffer.byteLength(text);
  const values = (stdout: string): readonly string[] => /\| (.*)/.exec(stdout)?.[1]?.split(' ') ?? [];
  const WHOLE = /^('[^']+'|[a-z_]+)=-?\d+(\.\d+)?s?(;[^;]*){0,3}$/;

  const servers = (count: number): Verdict =>
    gather(
      '',
      Array.from({ length: count }, (_, at) => ({
        ...judge({ ...GOOD, casServer: `pop${at}.example.com` } as ProbeResult, policy()),
        text: `pop${at}.example.com`,
      })),
    );

  test.each([1, 2, 5, 20, 500])('%d servers fit in, their values whole, and what is left out is said', (count) => {
    const { stdout } = nagios(servers(count), NARROW);
    expect(octets(stdout)).toBeLessThanOrEqual(1024);
    for (const value of values(stdout)) expect(value).toMatch(WHOLE);
    const charted = new Set(values(stdout).map((value) => value.replace(/::.*/, ''))).size;
    expect(charted).toBeGreaterThan(0);
    if (charted < count) expect(stdout).toContain(`(no performance data of ${count - charted} of them`);
  });

  test('one server fits in, however long the octets of its words are', () => {
    const words = 'ж'.repeat(400);
    const phases = METRIC_NAMES.filter((name) => name.startsWith('time_')).map((name) => ({
      name: name.slice(5),
      ms: 123_456.7,
    }));
    const result = failed({ phase: 'login', reason: 'login-refused', message: words, hint: 'x' }, 1, {
      phases,
    } as never);
    const wide = nagios(judge(result, policy()), PLAIN_MANNER).stdout;
    expect(octets(wide)).toBeGreaterThan(1024);
    const { stdout } = nagios(judge(result, policy()), NARROW);
    expect(octets(stdout.slice(stdout.indexOf('|')))).toBeLessThan(1024 - octets(words));
    for (const value of values(stdout)) expect(value).toMatch(WHOLE);
  });

  test('who asks for more has a newer one', () => {
    const many = servers(60);
    const { stdout } = nagios(many, { ...NARROW, verbosity: 1 });
    expect(values(stdout)).toHaveLength(120);
    expect(nagios(many, PLAIN_MANNER).stdout).toContain("'pop59.example.com::time'=");
  });
});
