import { describe, expect, test } from 'vitest';
import type { ProbeResult } from '../src/probe/result.ts';
import { certificateDefaults, describeValue, METRIC_NAMES, type MetricName, measure } from '../src/verdict/metric.ts';
import { alerts } from '../src/verdict/range.ts';
import { GOOD_LOGON, GOOD_TLS, GOOD_TRIP } from './support/samples.ts';

describe('a certificate about to expire worries those who set no threshold', () => {
  // Design §5: WARNING below 21 days or a third of the lifetime, CRITICAL below 7 days or a sixth, whichever is less.
  test.each([
    ['of two years', 730, '21:', '7:'],
    ['of a year', 365, '21:', '7:'],
    ['of 90 days', 90, '21:', '7:'],
    ['of 63 days, whose third is just 21', 63, '21:', '7:'],
    ['of 60 days', 60, '20:', '7:'],
    ['of 42 days, whose sixth is just 7', 42, '14:', '7:'],
    ['of 30 days', 30, '10:', '5:'],
    ['of 12 days', 12, '4:', '2:'],
    ['of six days', 6, '2:', '1:'],
    ['of one day', 1, '0.33:', '0.17:'],
    ['of a day and a half', 1.5, '0.5:', '0.25:'],
  ])('one %s', (_, lifetimeDays, warning, critical) => {
    const ranges = certificateDefaults(lifetimeDays);
    expect(ranges.warning.text).toBe(warning);
    expect(ranges.critical.text).toBe(critical);
  });

  test.each([0, 0.001, 0.5, 1, 2, 3, 5, 6, 6.67, 7, 9.99, 10, 20, 47, 90, 100, 200, 398, 825, 36500])(
    'one of %d days is no trouble when new, critical when over, and warns first',
    (lifetimeDays) => {
      const { warning, critical } = certificateDefaults(lifetimeDays);
      expect(alerts(warning, lifetimeDays)).toBe(false);
      expect(alerts(critical, -1)).toBe(true);
      expect(warning.start).toBeGreaterThanOrEqual(critical.start);
    },
  );
});

const RESULT: ProbeResult = { ...GOOD_LOGON, latencyMs: 2310, phases: [], tls: null, mailbox: null };

const TLS = { ...GOOD_TLS, daysLeft: 74.99 };

const measured = (result: Partial<ProbeResult>): Record<string, number> =>
  Object.fromEntries(measure({ ...RESULT, ...result } as ProbeResult).map(({ name, value }) => [name, value]));

describe('what was not measured is not there', () => {
  test.each<[string, Partial<ProbeResult>, Record<string, number>]>([
    ['nothing but the time', {}, { time: 2.31 }],
    ['a phase reached', { phases: [{ name: 'login', ms: 84 }] }, { time: 2.31, time_login: 0.084 }],
    [
      'an empty mailbox is one measured',
      { mailbox: { messages: 0, octets: 0 } },
      { time: 2.31, messages: 0, octets: 0 },
    ],
    ['a certificate, in whole days', { tls: TLS }, { time: 2.31, certificate: 74 }],
    ['one that has just expired', { tls: { ...TLS, daysLeft: -0.01 } }, { time: 2.31, certificate: -1 }],
    [
      'one of six days, in hundredths',
      { tls: { ...TLS, daysLeft: 3.75, lifetimeDays: 6 } },
      { time: 2.31, certificate: 3.75 },
    ],
    ['no time at all', { latencyMs: 0 }, { time: 0 }],
    ['a round trip', { roundTrip: GOOD_TRIP }, { time: 2.31, delivery: 1.9, polls: 3, stale: 0 }],
    [
      'a message that never came',
      { roundTrip: { ...GOOD_TRIP, deliveryMs: null } },
      { time: 2.31, polls: 3, stale: 0 },
    ],
    [
      'a message that nobody took',
      { roundTrip: { ...GOOD_TRIP, deliveryMs: null, sendMs: null, polls: 0 } },
      { time: 2.31 },
    ],
  ])('%s', (_, result, expected) => {
    expect(measured(result)).toEqual(expected);
  });

  test('seconds are measured in seconds, counts in nothing, and only days can be below zero', () => {
    const all = measure({
      ...RESULT,
      tls: TLS,
      mailbox: { messages: 1, octets: 1 },
      phases: [{ name: 'dns', ms: 1 }],
    } as ProbeResult);
    expect(all.map(({ name, unit, least }) => `${name} ${unit} ${least}`)).toEqual([
      'time s 0',
      'time_dns s 0',
      'messages  0',
      'octets  0',
      'certificate  null',
    ]);
  });
});

describe('the names thresholds are set on', () => {
  // Design §3 for the phases, §5 for the metrics.
  const PHASES =
    'directory token proxy dns connect tls greeting capabilities stls login mailbox send delivery retrieve';
  const expected = [...`${PHASES} delete quit verify`.split(' ').map((phase) => `time_${phase}`)];

  test('are those of the design', () => {
    expect([...METRIC_NAMES].sort()).toEqual(
      ['time', ...expected, 'delivery', 'polls', 'messages', 'octets', 'certificate', 'stale'].sort(),
    );
  });

  test.each(METRIC_NAMES)('%s is a label every platform takes', (name) => {
    expect(name).toMatch(/^[A-Za-z][A-Za-z0-9_]*$/);
    expect(name.length).toBeLessThanOrEqual(19); // unique within 19 characters: reference/hosts.md §0
  });
});

describe('a value in words', () => {
  test.each<[MetricName, number, string]>([
    ['time', 2.314, 'time 2.31 s'],
    ['time', 0.084, 'time 84 ms'],
    ['time', 0, 'time 0 ms'],
    ['time', 0.999, 'time 999 ms'],
    ['time', 0.9996, 'time 1.00 s'],
    ['time', 1, 'time 1.00 s'],
    ['time', 50, 'time 50.00 s'],
    ['time_login', 0.084, 'login 84 ms'],
    ['time_dns', 1.5, 'dns 1.50 s'],
    ['messages', 0, '0 messages'],
    ['messages', 1, '1 message'],
    ['messages', 3, '3 messages'],
    ['octets', 120, '120 octets'],
    ['delivery', 1.9, 'delivery 1.90 s'],
    ['polls', 1, '1 poll'],
    ['polls', 3, '3 polls'],
    ['stale', 1, '1 stale message'],
    ['stale', 0, '0 stale messages'],
    ['octets', 2 ** 53 - 1, '9007199254740991 octets'],
    ['certificate', 74, 'certificate expires in 74 days'],
    ['certificate', 1, 'certificate expires in 1 day'],
    ['certificate', 0, 'certificate expires in 0 days'],
    ['certificate', -3, 'certificate expired 3 days ago'],
    ['certificate', -1, 'certificate expired 1 day ago'],
    ['certificate', 3.75, 'certificate expires in 3.75 days'],
  ])('%s %d', (name, value, words) => {
    expect(describeValue({ name, value })).toBe(words);
  });
});
