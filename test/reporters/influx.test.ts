import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { influx } from '../../src/reporters/influx.ts';
import { gather, judge, refuse, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { METRIC_NAMES, type MetricName } from '../../src/verdict/metric.ts';
import { readPoints } from '../support/line-protocol.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';

const write = (verdict: Verdict): string => {
  const { stdout, stderr, exitCode } = influx(verdict, PIPED);
  // Telegraf drops what comes with another one.
  expect([exitCode, stderr]).toEqual([0, undefined]);
  return stdout;
};
const points = (verdict: Verdict) => readPoints(write(verdict));

const FARM: Verdict = { ...SWEEP, text: '' };
const NO_SERVER = refuse({ phase: null, reason: 'usage', message: 'no server', hint: 'see --help' });

/** Golden files were written by hand: `pop3,tags fields time`, tags by name, times in seconds, `i` behind what is whole. */
describe('what Telegraf reads, whole', () => {
  const words = failed(
    { ...REFUSED, message: 'server said "x" 1\\" pop3 y=1', hint: '\\' },
    { casServer: 'a,b=c d\\', latencyMs: 0.1, phases: [], tls: null },
  );
  const CASES: readonly [name: string, verdict: Verdict][] = [
    ['success', judge(GOOD, policy())],
    ['failure', judge(failed(REFUSED), policy())],
    ['skip', judge(skipped('ex03.contoso.com'), policy())],
    ['refusal', NO_SERVER],
    ['hostile', judge(words, policy())],
    ['sweep', FARM],
  ];
  test.each(CASES)('%s', (name, verdict) => {
    expect(write(verdict)).toBe(readFileSync(new URL(`../golden/telegraf/${name}.txt`, import.meta.url), 'utf8'));
  });
  test('no golden file is left over', () => {
    const files = readdirSync(new URL('../golden/telegraf/', import.meta.url));
    expect(files.sort()).toEqual(CASES.map(([name]) => `${name}.txt`).sort());
  });
});

test('read back, a point has what was measured, and when the test began', () => {
  expect(points(judge(GOOD, policy()))).toEqual([
    {
      measurement: 'pop3',
      tags: { connection_type: 'tls', port: '110', server: 'ex01.contoso.com', target: 'ex01.contoso.com' },
      fields: {
        status: ['integer', 0],
        state: ['string', 'OK'],
        success: ['boolean', true],
        reason: ['string', ''],
        phase: ['string', ''],
        tls: ['string', 'TLSv1.3'],
        time: ['float', 2.3104],
        time_dns: ['float', 0.0024],
        time_connect: ['float', 0.0126],
        time_login: ['float', 0.084],
        delivery: ['float', 1.9],
        polls: ['integer', 3],
        stale: ['integer', 0],
        messages: ['integer', 3],
        octets: ['integer', 4096],
        certificate: ['float', 74],
        text: ['string', 'POP3 OK - ex01.contoso.com: round trip 2.31 s, login 84 ms, delivery 1.90 s'],
      },
      time: BigInt(Date.parse('2026-01-16T12:00:00Z')) * 1_000_000n,
    },
  ]);
});

test('tags are the same whatever came of the test: each combination is a series of its own', () => {
  const tags = (verdict: Verdict): unknown => points(verdict)[0]?.tags;
  expect(tags(judge(failed(REFUSED), policy()))).toEqual(tags(judge(GOOD, policy())));
  expect(tags(judge(made({ tls: null, mailbox: null }), policy()))).toEqual(tags(judge(GOOD, policy())));
});

test('a point without a port, of a target whose settings were refused, has no empty tag', () => {
  expect(points(judge(failed(REFUSED, { port: 0, casServer: '' }), policy()))[0]?.tags).toEqual({
    connection_type: 'tls',
  });
});

test('addresses of one name are points of their own', () => {
  const at = (address: string): TestVerdict => ({ ...judge(GOOD, policy()), text: address });
  const farm = gather('farm.example.com', [
    at('192.0.2.1'),
    at('192.0.2.2'),
    remark('unknown', '192.0.2.3: not tested'),
  ]);
  expect(points(farm).map(({ tags, fields }) => [tags.target, fields.status?.[1]])).toEqual([
    ['farm.example.com 192.0.2.1', 0],
    ['farm.example.com 192.0.2.2', 0],
    ['farm.example.com 192.0.2.3', 3],
  ]);
});

describe('a field keeps its type, which the first point settles for ever', () => {
  const KINDS: Readonly<Partial<Record<MetricName, string>>> = {
    polls: 'integer',
    stale: 'integer',
    messages: 'integer',
    octets: 'integer',
  };
  test.each(METRIC_NAMES)('%s', (name) => {
    const unit = KINDS[name] === undefined && name !== 'certificate' ? 's' : '';
    for (const value of [
      0,
      1,
      1000,
      ...(KINDS[name] === undefined ? [0.66, 1e-9, 123_456.789] : [Number.MAX_SAFE_INTEGER]),
    ]) {
      const metrics = [{ name, value, unit, warning: null, critical: null, least: 0 }] as const;
      const [point] = points({ ...judge(GOOD, policy()), metrics } as TestVerdict);
      const [kind, read] = point?.fields[name] ?? [];
      expect(kind).toBe(KINDS[name] ?? 'float');
      expect(Math.abs(Number(read) - value)).toBeLessThanOrEqual(0.000_000_51);
    }
  });
});

describe('whatever a server says', () => {
  test.each(HOSTILE)('%j stays in its own point', (words) => {
    const read = points(gather('', [judge(GOOD, policy()), hostile(words), judge(GOOD, policy())]));
    expect(read.map(({ fields }) => fields.status?.[1])).toEqual([0, 2, 0]);
    expect(String(read[1]?.fields.text?.[1])).toContain(
      words.replace(/[\p{Cc}\u2028\u2029]/gu, ' ').replace(/\|/g, '/'),
    );
  });

  test('any characters at all', () => {
    const text = fc
      .array(fc.oneof(fc.constantFrom(92, 34, 44, 61, 32, 10), fc.nat(0x10ffff)), { maxLength: 30 })
      .map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(text, (words) => {
        const read = points(gather('', [hostile(words), judge(GOOD, policy())]));
        expect(read.map(({ fields }) => fields.status?.[1])).toEqual([2, 0]);
        for (const { tags } of read) for (const value of Object.values(tags)) expect(value).not.toBe('');
      }),
      { numRuns: 1000 },
    );
  });
});
