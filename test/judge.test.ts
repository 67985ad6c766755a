import { describe, expect, test } from 'vitest';
import type { Phase } from '../src/dialogue/dialogue.ts';
import type { Reason } from '../src/dialogue/failure.ts';
import { hintFor } from '../src/probe/hint.ts';
import type { ProbeResult, Problem, RoundTrip } from '../src/probe/result.ts';
import { describeProblem, isTest, judge, type Policy, refuse } from '../src/verdict/judge.ts';
import { parseRange, type Range } from '../src/verdict/range.ts';
import { type State, stateOfFailure, worst, worstFirst } from '../src/verdict/severity.ts';
import { GOOD_LOGON, GOOD_TRIP } from './support/samples.ts';

const words = (text: string): readonly Reason[] => text.trim().split(/\s+/) as Reason[];

/** Design §4, by hand. */
const STATE_OF: Readonly<Record<'critical' | 'warning' | 'unknown', readonly Reason[]>> = {
  critical: words(`dns-not-found connection-refused unreachable timed-out hung-up not-pop3 protocol-violation
    line-too-long stls-not-offered stls-refused plaintext-after-stls tls-failed certificate-expired
    certificate-not-yet-valid certificate-wrong-host certificate-untrusted certificate-revoked certificate-weak
    login-refused mechanism-not-offered server-not-authenticated server-permanent server-temporary mailbox-full
    send-refused not-delivered bounced`),
  warning: words(`mailbox-in-use login-delay send-deferred delivery-delayed send-unconfirmed altered duplicate
    not-deleted password-due`),
  unknown: words(`usage configuration dns-unavailable directory-unreachable directory-refused test-account-missing
    token-refused token-unavailable proxy-failed local-resources interrupted already-running internal-error`),
};
const REASONS = Object.entries(STATE_OF).flatMap(([state, reasons]) =>
  reasons.map((reason) => [reason, state as State] as const),
);

const RESULT: ProbeResult = {
  ...GOOD_LOGON,
  latencyMs: 2310,
  phases: [{ name: 'login', ms: 84 }],
  mailbox: { messages: 3, octets: 120 },
};

const problem = (reason: Reason, phase: Phase | null = 'login'): Problem => ({
  phase,
  reason,
  message: 'as told',
  hint: 'look there',
});
const failed = (reason: Reason, phase: Phase | null = 'login', more: Partial<ProbeResult> = {}): ProbeResult =>
  ({ ...RESULT, ...more, result: 'Failure', error: problem(reason, phase) }) as ProbeResult;
const warned = (...warnings: Problem[]): ProbeResult => ({ ...RESULT, warnings });
const expiring = (daysLeft: number): ProbeResult =>
  ({ ...RESULT, tls: { ...RESULT.tls, daysLeft } }) as unknown as ProbeResult;

const ranges = (set: Readonly<Record<string, string>>): Policy['warning'] =>
  new Map(Object.entries(set).map(([name, text]) => [name, parseRange(text) as Range])) as Policy['warning'];
const policy = (
  warning: Record<string, string> = {},
  critical: Record<string, string> = {},
  more: Partial<Policy> = {},
): Policy => ({
  warning: ranges(warning),
  critical: ranges(critical),
  certificateDefaults: true,
  severity: new Map(),
  expect: null,
  remarks: [],
  ...more,
});

describe('each reason has the state the design gives it', () => {
  test.each(REASONS)('%s: %s', (reason, state) => {
    expect(judge(failed(reason), policy()).state).toBe(state);
    expect(stateOfFailure(reason, null)).toBe(state);
  });

  test('and a hint of one line that says what to look at first', () => {
    const visit = {
      server: 'mail.example.com',
      port: 110,
      connectionType: 'tls',
      credential: 'password',
      userName: 'alice',
    } as const;
    for (const [reason] of REASONS) {
      const hint = hintFor(reason, { ...visit, phase: 'login' });
      expect(hint, reason).toMatch(/^[a-z][^\n|]{8,118}$/i);
    }
  });

  test.each<Phase>(['directory', 'token', 'proxy'])('whatever fails in the phase %s is unknown', (phase) => {
    for (const [reason] of REASONS) expect(judge(failed(reason, phase), policy()).state, reason).toBe('unknown');
  });

  test.each<Phase>(['dns', 'connect', 'tls', 'greeting', 'capabilities', 'stls', 'login', 'mailbox', 'quit'])(
    'a silence in the phase %s is critical',
    (phase) => {
      expect(judge(failed('timed-out', phase), policy()).state).toBe('critical');
    },
  );
});

describe('the worst wins: ok < warning < unknown < critical', () => {
  test.each<[readonly State[], State]>([
    [[], 'ok'],
    [['ok'], 'ok'],
    [['ok', 'warning'], 'warning'],
    [['warning', 'ok'], 'warning'],
    [['warning', 'unknown'], 'unknown'],
    [['unknown', 'warning', 'ok'], 'unknown'],
    [['unknown', 'critical'], 'critical'],
    [['critical', 'unknown', 'warning', 'ok'], 'critical'],
  ])('of %j it is %s', (states, expected) => {
    expect(worst(states)).toBe(expected);
  });

  test('and is told first, those of one state in their order', () => {
    const things = [
      { state: 'ok', name: 'a' },
      { state: 'warning', name: 'b' },
      { state: 'critical', name: 'c' },
      { state: 'unknown', name: 'd' },
      { state: 'critical', name: 'e' },
    ] as const;
    expect(worstFirst(things).map(({ name }) => name)).toEqual(['c', 'e', 'd', 'b', 'a']);
  });
});

describe('thresholds', () => {
  test.each<[string, Policy, State]>([
    ['none', policy(), 'ok'],
    ['both kept', policy({ time: '5' }, { time: '10' }), 'ok'],
    ['the warning one passed', policy({ time: '2' }, { time: '10' }), 'warning'],
    ['both passed: critical before warning', policy({ time: '1' }, { time: '2' }), 'critical'],
    ['the critical one alone passed, though it is the lower', policy({ time: '9' }, { time: '2' }), 'critical'],
    ['a bound met to the letter', policy({ time: '2.31' }), 'ok'],
    ['a phase too slow', policy({ time_login: '0.05' }), 'warning'],
    ['a phase that was not reached alerts nobody', policy({ time_delete: '0' }, { time_send: '@0:99' }), 'ok'],
    ['too many messages', policy({}, { messages: '2' }), 'critical'],
    ['too few messages', policy({ messages: '4:' }), 'warning'],
    ['octets within', policy({ octets: '@100:200' }), 'warning'],
    ['certificate days as the user likes them', policy({ certificate: '75:' }), 'warning'],
    ['one metric warns, another is critical', policy({ time: '1' }, { messages: '2' }), 'critical'],
  ])('%s', (_, given, state) => {
    expect(judge(RESULT, given).state).toBe(state);
  });

  test('one passed is told once, with its value and its bound', () => {
    const { parts } = judge(RESULT, policy({ time: '1' }, { time: '2' }));
    expect(parts.map(({ text }) => text)).toEqual(['logon 2.31 s (critical above 2)']);
  });

  test('they change the state, never the result', () => {
    const verdict = judge(RESULT, policy({}, { time: '1' }));
    expect(verdict.state).toBe('critical');
    expect(verdict.result.result).toBe('Success');
    expect(verdict.result.error).toBeNull();
  });

  test('a failed run is measured too', () => {
    const { state, metrics } = judge(failed('mailbox-in-use'), policy({}, { time: '1' }));
    expect(state).toBe('critical');
    expect(metrics.map(({ name }) => name)).toContain('time');
  });
});

describe('a certificate', () => {
  test.each<[number, State]>([
    [74, 'ok'],
    [21, 'ok'],
    [20.99, 'warning'],
    [7, 'warning'],
    [6.99, 'critical'],
    [-1, 'critical'],
  ])('of 90 days with %d days left is %s when no threshold is set', (daysLeft, state) => {
    expect(judge(expiring(daysLeft), policy()).state).toBe(state);
  });

  test.each<[string, number, Policy, State]>([
    ['a threshold of the user replaces the usual one', 10, policy({ certificate: '5:' }), 'ok'],
    ['one bound of the user says all: no usual one above it', 5, policy({ certificate: '3:' }), 'ok'],
    ['both replaced', 5, policy({ certificate: '3:' }, { certificate: '1:' }), 'ok'],
    ['nobody worries where any certificate is trusted', 1, policy({}, {}, { certificateDefaults: false }), 'ok'],
    [
      'a threshold of the user counts there too',
      1,
      policy({ certificate: '5:' }, {}, { certificateDefaults: false }),
      'warning',
    ],
  ])('%s', (_, daysLeft, given, state) => {
    expect(judge(expiring(daysLeft), given).state).toBe(state);
  });

  test('that was not shown has no threshold', () => {
    const { metrics, state } = judge({ ...RESULT, tls: null }, policy({ certificate: '99:' }));
    expect(metrics.map(({ name }) => name)).not.toContain('certificate');
    expect(state).toBe('ok');
  });
});

describe('what was wrong without failing the test', () => {
  test.each<Reason>(['certificate-expired', 'timed-out', 'mailbox-in-use', 'dns-unavailable'])(
    '%s is a warning, whatever it would be as a failure',
    (reason) => {
      expect(judge(warned(problem(reason)), policy()).state).toBe('warning');
    },
  );

  test('several are all told', () => {
    const { parts } = judge(warned(problem('certificate-expired', 'tls'), problem('timed-out', 'quit')), policy());
    expect(parts.map(({ text }) => text)).toEqual([
      'certificate-expired, as told - look there',
      'timed-out in quit, as told - look there',
    ]);
  });
});

describe('a remark', () => {
  test.each<[string, ProbeResult, State]>([
    ['a good result', RESULT, 'ok'],
    ['a warned one', warned(problem('altered')), 'warning'],
    ['a failed one', failed('login-refused'), 'critical'],
    ['an unknown one', failed('local-resources'), 'unknown'],
  ])('is told and changes no state: %s', (_, result, state) => {
    const without = judge(result, policy());
    const verdict = judge(result, policy({}, {}, { remarks: ['a password on the command line'] }));
    expect(without.state).toBe(state);
    expect(verdict.state).toBe(state);
    expect(verdict.parts.map(({ text }) => text)).toContain('a password on the command line');
  });
});

describe('a run that never began', () => {
  test.each<[Reason, State]>([
    ['usage', 'unknown'],
    ['configuration', 'unknown'],
    ['internal-error', 'unknown'],
    ['interrupted', 'unknown'],
  ])('%s', (reason, state) => {
    const verdict = refuse(problem(reason, null));
    expect(verdict.state).toBe(state);
    expect(isTest(verdict)).toBe(false);
  });

  test('is told apart from a test', () => {
    expect(isTest(judge(RESULT, policy()))).toBe(true);
  });
});

describe('a problem in words', () => {
  test.each<[string, Problem, string]>([
    ['where it is at home', problem('login-refused', 'login'), 'login-refused, as told - look there'],
    ['elsewhere', problem('timed-out', 'greeting'), 'timed-out in greeting, as told - look there'],
    ['before any phase', problem('usage', null), 'usage, as told - look there'],
    ['without more to say', { ...problem('hung-up', 'quit'), message: '' }, 'hung-up in quit - look there'],
  ])('%s', (_, given, expected) => {
    expect(describeProblem(given)).toBe(expected);
  });
});

describe('a round trip', () => {
  const trip = (more: Partial<RoundTrip> = {}): ProbeResult => ({ ...RESULT, roundTrip: { ...GOOD_TRIP, ...more } });

  test('is told by its name, its logon and its delivery', () => {
    expect(judge(trip(), policy()).summary).toBe('round trip 2.31 s, login 84 ms, delivery 1.90 s');
  });

  test.each<[string, Partial<RoundTrip>, string]>([
    ['removed leftovers', { stale: 2, staleRemoved: 2 }, '2 messages of earlier runs removed'],
    ['an estimate', { isEstimate: true }, "by the mail servers' clocks"],
    ['the first of a split test', { retrieved: false, deliveryMs: null }, 'a message is under way to the next run'],
  ])('tells of %s', (_, more, words) => {
    expect(judge(trip(more), policy()).summary).toContain(words);
  });

  test.each<[string, Record<string, string>, State]>([
    ['a delivery within its bounds', { delivery: '2' }, 'ok'],
    ['a slow delivery', { delivery: '1.5' }, 'critical'],
    ['leftovers', { stale: '0' }, 'ok'],
    ['too many polls', { polls: '2' }, 'critical'],
    ['a slow sending', { time_send: '0.1' }, 'critical'],
  ])('%s', (_, critical, state) => {
    const phases = [{ name: 'send', ms: 210.4 }] as const;
    expect(judge({ ...trip(), phases }, policy({}, critical)).state).toBe(state);
  });

  test('its time is called by its name where it is too long', () => {
    expect(judge(trip(), policy({ time: '2' })).parts[0]?.text).toBe('round trip 2.31 s (warning above 2)');
    expect(judge(RESULT, policy({ time: '2' })).parts[0]?.text).toBe('logon 2.31 s (warning above 2)');
  });
});
