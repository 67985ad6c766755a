import type { ProbeResult, Problem, Spoken } from '../../src/probe/result.ts';
import { gather, judge, type Policy, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { GOOD_LOGON, GOOD_TLS, GOOD_TRIP } from './samples.ts';

/** A full test that went well. */
export const GOOD: ProbeResult = {
  ...GOOD_LOGON,
  localSite: 'Example-Site',
  userName: 'alice@example.com',
  phases: [
    { name: 'dns', ms: 3.2 },
    { name: 'connect', ms: 11.8 },
    { name: 'greeting', ms: 20.1 },
    { name: 'stls', ms: 14 },
    { name: 'tls', ms: 38.5 },
    { name: 'capabilities', ms: 9.6 },
    { name: 'login', ms: 84.2 },
    { name: 'mailbox', ms: 8.9 },
    { name: 'send', ms: 210.4 },
    { name: 'delivery', ms: 1850 },
    { name: 'retrieve', ms: 31.3 },
    { name: 'delete', ms: 9.9 },
    { name: 'quit', ms: 18.5 },
  ],
  capabilities: ['TOP', 'UIDL', 'STLS', 'USER', 'SASL PLAIN SCRAM-SHA-256', 'IMPLEMENTATION Example'],
  mailbox: { messages: 3, octets: 12_034 },
  roundTrip: GOOD_TRIP,
};

export const POLICY: Policy = {
  warning: new Map(),
  critical: new Map(),
  certificateDefaults: true,
  severity: new Map(),
  expect: null,
  remarks: [],
};

export const problem = (more: Pick<Problem, 'reason' | 'phase' | 'message'>): Problem => ({
  ...more,
  hint: 'check the user name and the password, then the log of the server',
});

/** A conversation with the password as stars. */
export const TALK: readonly Spoken[] = [
  { atMs: 15, who: '*', words: 'connected to 192.0.2.1 port 110' },
  { atMs: 35.1, who: 'S', words: '+OK Example POP3 ready' },
  { atMs: 87.6, who: 'C', words: 'USER alice@example.com' },
  { atMs: 95.2, who: 'S', words: '+OK' },
  { atMs: 95.3, who: 'C', words: 'PASS ****' },
  { atMs: 171.4, who: 'S', words: '-ERR [AUTH] invalid credentials' },
];

const failed = (more: Partial<ProbeResult>, error: Problem): ProbeResult =>
  ({ ...GOOD, mailbox: null, roundTrip: null, ...more, result: 'Failure', error }) as ProbeResult;

/** A sweep over servers that are well, worry, fail and were skipped; the first that went well stands first. */
export function sweep(): Verdict {
  const tests: readonly TestVerdict[] = [
    judge(GOOD, POLICY, TALK.slice(0, 4)),
    judge(
      failed(
        { casServer: 'pop.example.net', latencyMs: 181.2, phases: GOOD.phases.slice(0, 7), localSite: null },
        problem({ reason: 'login-refused', phase: 'login', message: 'the server says "invalid credentials"' }),
      ),
      POLICY,
      TALK,
    ),
    judge(
      { ...GOOD, casServer: 'mx1.example.org', tls: { ...GOOD_TLS, daysLeft: 12.4 }, roundTrip: null } as ProbeResult,
      POLICY,
    ),
    judge(
      {
        ...failed(
          { casServer: 'edge.example.org', latencyMs: 0, phases: [], tls: null, capabilities: null, address: null },
          problem({ reason: 'interrupted', phase: null, message: 'stopped before it began' }),
        ),
        result: 'Skipped',
      } as ProbeResult,
      POLICY,
    ),
    judge(
      failed(
        {
          casServer: '2001:db8::110',
          latencyMs: 10_002.7,
          phases: [
            { name: 'connect', ms: 12.6 },
            { name: 'greeting', ms: 9990.1 },
          ],
          tls: null,
          capabilities: null,
          address: '2001:db8::110',
          deadAddresses: [{ address: '2001:db8::111', problem: 'connection-refused' }],
        },
        problem({ reason: 'timed-out', phase: 'greeting', message: 'no greeting within 10 s' }),
      ),
      POLICY,
    ),
  ];
  return gather('sweep', [...tests, remark('ok', 'a target stood there twice and was tested once')]);
}
