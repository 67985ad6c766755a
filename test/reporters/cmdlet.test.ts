import { describe, expect, test } from 'vitest';
import { cmdletRow, fieldsOf, footerOf, type Outcome, outcomeOf, peopleExit } from '../../src/reporters/cmdlet.ts';
import { eventsOf, performanceCountersOf } from '../../src/reporters/monitoring-context.ts';
import { gather, judge, refuse, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { failed, GOOD, HOSTILE, hostile, made, policy, REFUSED, SWEEP, seconds, skipped } from '../support/people.ts';

describe('CasServer is the short name', () => {
  test.each([
    ['ex01.contoso.com', 'ex01'],
    ['EX01', 'EX01'],
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
    ['1.pop.example.com', '1'],
  ])('of %s: %s', (casServer, short) => {
    expect(cmdletRow(made({ casServer })).CasServer).toBe(short);
  });
});

describe('the latency', () => {
  test.each([
    [0, '0.00', '00:00:00'],
    [19_837.0432, '19837.04', '00:00:19.8370432'],
    [1000, '1000.00', '00:00:01'],
    [3_599_999.99999, '3600000.00', '01:00:00'],
    [0.00004, '0.00', '00:00:00'],
    [3_661_001.5, '3661001.50', '01:01:01.0015000'],
  ])('of %d ms', (latencyMs, inTable, inList) => {
    const result = made({ latencyMs });
    expect(cmdletRow(result)['Latency(MS)']).toBe(inTable);
    expect(fieldsOf(judge(result, policy())).Latency).toBe(inList);
  });

  test('is empty where there is an error', () => {
    for (const result of [failed(REFUSED), skipped('ex03')]) {
      expect(cmdletRow(result)['Latency(MS)']).toBe('');
      expect(fieldsOf(judge(result, policy())).Latency).toBe('');
    }
  });
});

test('a site that is not known is empty', () => {
  expect(cmdletRow(made({ localSite: null })).LocalSite).toBe('');
});

describe('what a test comes to', () => {
  const warned = { ...REFUSED, reason: 'certificate-untrusted' } as const;
  const CASES: readonly [string, TestVerdict, Outcome, number, string, number][] = [
    ['a success', judge(GOOD, policy()), 'succeeded', 0, 'Success', 1000],
    ['a remark', judge(GOOD, policy({ remarks: ['x'] })), 'succeeded', 0, 'Success', 1000],
    ['a warning', judge(made({ warnings: [warned] }), policy()), 'warned', 1, 'Warning', 1002],
    ['a threshold', judge(GOOD, policy({ critical: seconds('1') })), 'warned', 1, 'Warning', 1002],
    ['a refusal', judge(failed(REFUSED), policy()), 'failed', 2, 'Error', 1001],
    [
      'a failure that counts as a warning',
      judge(failed(REFUSED), policy({ severity: new Map([['login-refused', 'warning']]) })),
      'failed',
      2,
      'Error',
      1001,
    ],
    [
      'a failure that was expected',
      judge(failed(REFUSED), policy({ expect: 'login-refused' })),
      'succeeded',
      0,
      'Success',
      1000,
    ],
    ['a logon that was to fail', judge(GOOD, policy({ expect: 'login-refused' })), 'failed', 2, 'Error', 1001],
    ['one that was skipped', judge(skipped('ex03'), policy()), 'skipped', 1, 'Warning', 1002],
  ];
  test.each(CASES)('%s', (_, verdict, outcome, exitCode, eventType, id) => {
    expect(outcomeOf(verdict)).toBe(outcome);
    expect(peopleExit(verdict)).toBe(exitCode);
    expect(fieldsOf(verdict).EventType).toBe(eventType);
    expect(eventsOf(verdict).map((event) => event.id)).toEqual([id]);
    expect(cmdletRow(verdict.result).Result).toMatch(/^(?:Success|Failure|Skipped)$/);
  });

  test.each<[string, Verdict, number]>([
    ['nothing was tested', refuse({ ...REFUSED, phase: null, reason: 'usage' }), 3],
    ['no server at all', gather('sweep', []), 3],
    ['one of several failed', SWEEP, 2],
    ['one was not reached', gather('farm', [judge(GOOD, policy()), remark('unknown', '192.0.2.2: not tested')]), 1],
    ['all are well, and there is a remark', gather('farm', [judge(GOOD, policy()), remark('ok', 'x')]), 0],
  ])('of several: %s', (_, verdict, exitCode) => {
    expect(peopleExit(verdict)).toBe(exitCode);
  });
});

test('the footer tells what no row does, and not what one does', () => {
  expect(footerOf(judge(failed(REFUSED), policy()))).toEqual([]);
  expect(footerOf(judge(skipped('ex03'), policy()))).toEqual([]);
  expect(footerOf(judge(failed(REFUSED), policy({ expect: 'login-refused' })))).toEqual([
    'NOTE: ex01.contoso.com: login-refused as expected, server said "-ERR [AUTH] Authentication failed."',
  ]);
  expect(footerOf(judge(GOOD, policy({ warning: seconds('2') })))).toEqual([
    'WARNING: ex01.contoso.com: round trip 2.31 s (warning above 2)',
  ]);
  expect(footerOf(gather('farm', [judge(GOOD, policy()), remark('unknown', '192.0.2.2: not tested')]))).toEqual([
    'WARNING: 192.0.2.2: not tested',
  ]);
});

test('a failed test has the counters of the phases it reached, and no Latency', () => {
  const common = { object: 'MSExchange Monitoring POPConnectivity', instance: 'ex01.contoso.com|' };
  const phases = [{ name: 'dns', ms: 2.4 }] as const;
  expect(performanceCountersOf(judge(failed(REFUSED, { localSite: null, phases }), policy()))).toEqual([
    { ...common, counter: 'dns', value: 2.4 },
  ]);
  expect(performanceCountersOf(judge(made({ localSite: null, phases }), policy()))).toEqual([
    { ...common, counter: 'dns', value: 2.4 },
    { ...common, counter: 'Latency', value: 2310.4 },
  ]);
});

test.each(HOSTILE)('%j stays one line that drives no terminal', (words) => {
  const verdict = hostile(words);
  const told = [
    ...Object.values(cmdletRow(verdict.result)),
    ...Object.values(fieldsOf(verdict)),
    ...footerOf(verdict),
    ...eventsOf(verdict).map(({ message }) => message),
    ...performanceCountersOf(verdict).map(({ instance }) => instance),
  ];
  for (const each of told) expect(each).toMatch(/^[^\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e]*$/u);
});
