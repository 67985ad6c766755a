import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { json } from '../../src/reporters/json.ts';
import { ndjson, ndjsonLine } from '../../src/reporters/ndjson.ts';
import { gather, judge, refuse, testsIn } from '../../src/verdict/judge.ts';
import { METRIC_NAMES } from '../../src/verdict/metric.ts';
import { REASONS } from '../../src/verdict/severity.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';

const SCHEMA = JSON.parse(readFileSync(new URL('../../docs/probe-result.schema.json', import.meta.url), 'utf8'));
const validate: ValidateFunction = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(
  SCHEMA,
);
const faults = (value: unknown): unknown => (validate(value) ? null : validate.errors);
const CONTEXT = { ...PIPED, monitoringContext: true };

describe('JSON', () => {
  test.each([
    ['alone', PIPED],
    ['with events and performance counters', CONTEXT],
  ])('is one array of results by the schema, %s', (_, manner) => {
    const { stdout, exitCode } = json(SWEEP, manner);
    const read = JSON.parse(stdout) as readonly object[];
    expect(read).toHaveLength(4);
    for (const each of read) expect(faults(each)).toBeNull();
    expect(read.map((each) => 'events' in each && 'performanceCounters' in each)).toEqual(
      Array(4).fill(manner.monitoringContext),
    );
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/^\[\n {2}\{\n {4}"schema": 1,\n/);
  });

  test('has the results as they are', () => {
    expect(JSON.parse(json(SWEEP, PIPED).stdout)).toEqual(testsIn(SWEEP).map(({ result }) => result));
  });

  test('of nothing tested is an empty array, and why beside it', () => {
    const report = json(refuse({ ...REFUSED, phase: null, reason: 'usage' }), PIPED);
    expect(JSON.parse(report.stdout)).toEqual([]);
    expect(report.stderr).toMatch(/^ERROR: usage, /);
    expect(report.exitCode).toBe(3);
  });
});

describe('NDJSON', () => {
  test('is a result a line, and the lines are those that are written while others still run', () => {
    for (const manner of [PIPED, CONTEXT]) {
      const { stdout, exitCode } = ndjson(SWEEP, manner);
      const lines = stdout.split('\n');
      expect(lines.pop()).toBe('');
      expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(json(SWEEP, manner).stdout));
      expect(stdout).toBe(
        testsIn(SWEEP)
          .map((each) => ndjsonLine(each, manner))
          .join(''),
      );
      expect(exitCode).toBe(2);
    }
  });

  test('of nothing tested is nothing, and why beside it', () => {
    const report = ndjson(refuse({ ...REFUSED, phase: null, reason: 'usage' }), PIPED);
    expect([report.stdout, report.exitCode]).toEqual(['', 3]);
    expect(report.stderr).toMatch(/^ERROR: usage, /);
  });
});

test.each(HOSTILE)('%j comes back as it was, on one line, without a control character', (words) => {
  const verdict = hostile(words);
  const line = ndjson(verdict, CONTEXT).stdout.slice(0, -1);
  expect(line).toMatch(/^[^\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e]+$/u);
  const { events, performanceCounters, ...result } = JSON.parse(line);
  expect(result).toEqual(verdict.result);
  expect(faults(JSON.parse(line))).toBeNull();
});

describe('the schema', () => {
  test('knows every reason and every phase', () => {
    expect(SCHEMA.$defs.reason.enum).toEqual(REASONS);
    const phases = METRIC_NAMES.filter((name) => name.startsWith('time_')).map((name) => name.slice('time_'.length));
    expect(SCHEMA.$defs.phase.enum).toEqual(phases);
  });

  test('describes every field, and lets in no other', () => {
    const walk = (schema: unknown, path: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      const { properties, items, additionalProperties, $defs, $ref, description } = schema as Record<string, object>;
      if ($ref === undefined) expect(description, path).toBeTypeOf('string');
      if (properties !== undefined) expect(additionalProperties, path).toBe(false);
      for (const [name, each] of Object.entries({ ...properties, ...$defs })) walk(each, `${path}/${name}`);
      walk(items, `${path}/items`);
    };
    walk(SCHEMA, '');
  });

  test.each<[string, unknown]>([
    ['a success with an error', { ...GOOD, error: REFUSED }],
    ['a failure without one', { ...failed(REFUSED), error: null }],
    ['one that was skipped without a reason', { ...skipped('a'), error: null }],
    ['a result called Warning', { ...GOOD, result: 'Warning' }],
    ['another field', { ...GOOD, password: 'x' }],
    ['another field of a problem', failed({ ...REFUSED, said: 'x' } as typeof REFUSED)],
    ['an unknown reason', failed({ ...REFUSED, reason: 'odd' as 'usage' })],
    ['an unknown phase', made({ phases: [{ name: 'odd' as 'dns', ms: 1 }] })],
    ['a missing field', { ...GOOD, tls: undefined }],
    ['another version', { ...GOOD, schema: 2 }],
    ['a local time', made({ startTime: '2026-01-16T12:00:00.000+01:00' })],
  ])('refuses %s', (_, value) => {
    expect(faults(JSON.parse(JSON.stringify(value)))).not.toBeNull();
  });

  test('takes whatever may be missing', () => {
    const bare = { localSite: null, address: null, tls: null, capabilities: null, mailbox: null, roundTrip: null };
    for (const each of [made(bare), made({ deadAddresses: [{ address: '192.0.2.9', problem: 'x' }] })]) {
      expect(faults(JSON.parse(JSON.stringify(each)))).toBeNull();
    }
    const [first] = JSON.parse(json(gather('', [judge(made({ ...bare, phases: [] }), policy())]), CONTEXT).stdout);
    expect(faults(first)).toBeNull();
  });
});
