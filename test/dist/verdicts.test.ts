import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { selfSign } from '../../src/sandbox/authority.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { REASONS } from '../../src/verdict/severity.ts';
import { CHECK_POP3, type Ended, run } from '../support/run.ts';
import { withSandbox } from '../support/sandboxed.ts';

const { wrongFile, caFile, logon } = withSandbox();

const check = (...options: readonly string[]): Promise<Ended> => run(CHECK_POP3, [...logon(), ...options]);
const inClear = ['--connection-type', 'plaintext'];
const trusting = (): readonly string[] => ['--ca-file', caFile];

describe('--severity', () => {
  test.each([
    ['warning', 1],
    ['ok', 0],
    ['unknown', 3],
    ['CRITICAL', 2],
  ])('counts a refused logon as %s', async (state, expected) => {
    const { code, line } = await check(
      ...inClear,
      '--password-file',
      wrongFile,
      '--severity',
      `login-refused=${state}`,
    );
    expect(code).toBe(expected);
    expect(line).toContain('login-refused');
  });

  test('makes a certificate trusted by request no reason to warn', async () => {
    expect(await check('--trust-any-ssl-certificate')).toMatchObject({ code: 1 });
    expect(await check('--trust-any-ssl-certificate', '--severity', 'certificate-untrusted=ok')).toMatchObject({
      code: 0,
    });
  });

  test('of another reason changes nothing', async () => {
    expect(await check(...inClear, '--password-file', wrongFile, '--severity', 'login-delay=ok')).toMatchObject({
      code: 2,
    });
  });
});

describe('a certificate that is over', () => {
  let expired: Sandbox;
  beforeAll(async () => {
    const identity = await selfSign(['localhost'], new Date(Date.now() - 86_400_000));
    expired = await startSandbox({ identity });
  });
  afterAll(() => expired.close());
  const checkExpired = (...options: readonly string[]): Promise<Ended> =>
    run(CHECK_POP3, [...logon(expired.pop3sPort), '-S', '--severity', 'certificate-untrusted=ok', ...options]);

  test.each([
    [['--expect', 'certificate-expired'], 0],
    [['--severity', 'certificate-expired=ok'], 0],
    [['--severity', 'certificate-expired=warning'], 1],
    [[], 2],
    [['--expect', 'certificate-expired', '-c', 'certificate=0:'], 2],
  ])('%j', async (options, expected) => {
    const { code, line } = await checkExpired(...options);
    expect(code, line).toBe(expected);
  });

  test('that counts as ok is not called expected', async () => {
    const { line } = await checkExpired('--severity', 'certificate-expired=ok');
    expect(line).toMatch(/^POP3 OK - localhost: certificate-expired counts as ok, the certificate expired on /);
  });
});

describe('--expect', () => {
  test('is content when a wrong password is refused', async () => {
    const { code, line } = await check(...inClear, '--password-file', wrongFile, '--expect', 'login-refused');
    expect(line).toMatch(
      /^POP3 OK - localhost: login-refused as expected, server said "-ERR \[AUTH\] Authentication failed\." \| /,
    );
    expect(code).toBe(0);
  });

  test('is alarmed when the logon works', async () => {
    const { code, line } = await check(...inClear, '--expect', 'login-refused');
    expect(line).toContain('CRITICAL - localhost: login-refused was expected, but the logon works | ');
    expect(code).toBe(2);
  });

  test('takes another failure for what it is', async () => {
    const { code, line } = await check('--expect', 'login-refused');
    expect(line).toContain('CRITICAL - localhost: certificate-untrusted, ');
    expect(code).toBe(2);
  });
});

describe('-C', () => {
  test.each([
    ['30', 0, ' certificate=89;30:'],
    ['100', 1, ' certificate=89;100:'],
    ['100,95', 2, ' certificate=89;100:;95:'],
    ['0', 0, ' certificate=89;0:'],
  ])('%s', async (days, expected, perfdata) => {
    const { code, line } = await check(...trusting(), '-C', days);
    expect(line).toContain(perfdata);
    expect(code).toBe(expected);
  });

  test('gives way to a threshold on the metric itself', async () => {
    expect((await check(...trusting(), '-C', '100', '-w', 'certificate=10:')).line).toContain(' certificate=89;10:');
  });
});

describe('thresholds', () => {
  test('on what was not measured judge nothing and print nothing', async () => {
    const { code, line } = await check(...inClear, '-c', 'delivery=0', '-c', 'certificate=1000:', '-c', 'time_tls=0');
    expect(line).not.toMatch(/delivery|certificate|time_tls/);
    expect(code).toBe(0);
  });

  test.each(['time_connect', 'time_greeting', 'time_login', 'time_mailbox', 'messages', 'octets'])(
    'on %s',
    async (metric) => {
      const { code, line } = await check(...inClear, '-w', `${metric}=@~:`);
      expect(line).toContain('(warning always)');
      expect(code).toBe(1);
    },
  );
});

describe('--explain', () => {
  test.each(REASONS)('%s', async (reason) => {
    const { code, stdout } = await run(CHECK_POP3, ['--explain', reason, '-V']);
    expect(code).toBe(3);
    expect(stdout.startsWith(`${reason}\n`)).toBe(true);
    expect(stdout).toMatch(/\nState: (CRITICAL|WARNING|UNKNOWN)\. /);
    expect(stdout).not.toContain('\n## ');
  });
});

describe('what these options do not take', () => {
  test.each<[readonly string[], string]>([
    [['--severity', 'login-refused'], '--severity takes REASON=STATE with ok, warning, unknown, critical'],
    [['--severity', 'login-refused=fine'], '--severity takes REASON=STATE'],
    [
      ['--severity', 'login-failed=ok'],
      '--severity: there is no reason "login-failed"; there is login-refused, login-delay',
    ],
    [['--expect', 'interrupted'], '--expect takes a reason that is about the server; interrupted is not'],
    [['--severity', 'login-refused=ok=critical'], '--severity takes REASON=STATE'],
    [['--expect', 'refusal'], '--expect: there is no reason "refusal"; docs/reasons.md lists them'],
    [['-C', '7,21'], '--certificate-days takes WARN or WARN,CRIT in days, CRIT no more than WARN'],
    [['-C', '-5'], '--certificate-days takes WARN'],
    [['--pin', 'abcdef'], '--pin takes the SHA-256 fingerprint of a certificate, 64 hexadecimal digits'],
    [['--pin', '00'.repeat(32), '--trust-any-ssl-certificate'], '--trust-any-ssl-certificate and --pin contradict'],
    [['--all-addresses'], '--all-addresses and --address contradict'],
  ])('%j', async (options, expected) => {
    const { code, line } = await check(...options);
    expect(line).toContain(`POP3 UNKNOWN - usage, ${expected}`);
    expect(code).toBe(3);
  });
});
