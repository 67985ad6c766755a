import type { ProbeResult, Problem, Skipped } from '../../src/probe/result.ts';
import { PLAIN_MANNER } from '../../src/reporters/reporter.ts';
import { gather, judge, type Policy, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { parseRange, type Range } from '../../src/verdict/range.ts';
import { GOOD_LOGON, GOOD_TLS, GOOD_TRIP } from './samples.ts';

/** No thresholds but the certificate's. */
export const policy = (more: Partial<Policy> = {}): Policy => ({
  warning: new Map(),
  critical: new Map(),
  certificateDefaults: true,
  severity: new Map(),
  expect: null,
  remarks: [],
  ...more,
});

export const seconds = (range: string): Policy['warning'] => new Map([['time', parseRange(range) as Range]]);

export const GOOD: ProbeResult = {
  ...GOOD_LOGON,
  casServer: 'ex01.contoso.com',
  localSite: 'Berlin',
  userName: 'probe@contoso.com',
  roundTrip: GOOD_TRIP,
};

export const REFUSED: Problem = {
  phase: 'login',
  reason: 'login-refused',
  message: 'server said "-ERR [AUTH] Authentication failed."',
  hint: 'check the user name and password of probe@contoso.com',
};

export const made = (more: Partial<ProbeResult>): ProbeResult => ({ ...GOOD, ...more }) as ProbeResult;

export const failed = (error: Problem, more: Partial<ProbeResult> = {}): ProbeResult =>
  ({ ...GOOD, mailbox: null, roundTrip: null, result: 'Failure', error, ...more }) as ProbeResult;

export const skipped = (casServer: string): Skipped => ({
  ...GOOD,
  casServer,
  localSite: null,
  latencyMs: 0,
  address: null,
  phases: [],
  tls: null,
  capabilities: null,
  mailbox: null,
  roundTrip: null,
  result: 'Skipped',
  error: { phase: null, reason: 'interrupted', message: 'not tested', hint: 'run it again' },
});

const ALTERED: Problem = {
  phase: 'retrieve',
  reason: 'altered',
  message: '2 lines were added after its text',
  hint: 'look for a disclaimer',
};

/** One of each: good, warned of, refused, skipped; an address; and a server that was not reached at all. */
export const SWEEP: Verdict = gather('sweep', [
  judge(GOOD, policy()),
  judge(made({ casServer: 'ex02.contoso.com', latencyMs: 19_837.0432, warnings: [ALTERED] }), policy()),
  judge(failed(REFUSED, { casServer: '192.0.2.7', localSite: null, connectionType: 'ssl', port: 995 }), policy()),
  judge(skipped('ex03.contoso.com'), policy()),
  remark('ok', 'a password on the command line is seen by everyone on this machine'),
]);

/** What servers have been known, or are feared, to say. */
export const HOSTILE: readonly string[] = [
  '=HYPERLINK("http://example.com","x")',
  '+1',
  '-2+3',
  '@SUM(A1)',
  '\t=1',
  '\x1b[2J\x1b]0;x\x07',
  '\x9b31m',
  'a "quoted" word',
  'two\r\nlines',
  'a|b=1;2',
  '<script>alert(1)</script>',
  '\u202egnp.exe',
  '错误 错误错误错误错误错误错误错误错误错误错误',
  'e\u0301\u0301 📧📧',
  'x'.repeat(300),
  '\ud800',
  '＝1+1',
  '  ',
  '',
];

/** A test whose every word from outside is that. */
export const hostile = (words: string): TestVerdict =>
  judge(
    failed(
      { phase: 'login', reason: 'login-refused', message: `server said "${words}"`, hint: words },
      {
        casServer: words,
        localSite: words,
        userName: words,
        warnings: [{ phase: 'tls', reason: 'certificate-untrusted', message: words, hint: words }],
        tls: { ...GOOD_TLS, subject: words, issuer: words, names: [words] },
        capabilities: [words],
      },
    ),
    policy({ remarks: [words] }),
  );

export const PIPED = PLAIN_MANNER;
export const on = (width: number, isColoured = false) => ({ ...PLAIN_MANNER, width, isColoured });
