import { describe, expect, test } from 'vitest';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { FAKETIME } from '../../support/icinga-cluster.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { SAMBA } from '../../support/samba.ts';

const DAY_S = 86_400;
/** One server and the mailboxes behind it: nothing that there is no account for is told of. */
const ONE = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019'];
const WEEK = ['--password-max-age'];

// The clock is that of the domain controller: passwords grow old there, and here no time passes.
describe.skipIf(missing(SAMBA, AD_DOVECOT, FAKETIME))('the password of the test account', () => {
  const { samba, account, settledMachine, attributes, letsIn } = withTestAccounts({ clock: 0 });
  /** How far ahead of ours its clock is. */
  const goTo = (days: number): void => samba().setClock(Math.round(days * DAY_S));
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const TESTED = 'ex2019 Test POP3 Connectivity Success';
  const RESET = 'dc01 Reset Credentials Success';
  /** One that set the password so many days ago, by a clock that is as wrong as said. */
  const machineWithPasswordOf = async (days: number, wrongBy = 0): Promise<Machine> => {
    goTo(wrongBy);
    const machine = await settledMachine();
    goTo(wrongBy + days);
    return machine;
  };
  const stateOf = async (machine: Machine) => ({
    kept: machine.kept(),
    set: (await attributes(account().dn)).pwdLastSet,
  });

  test.each<readonly [days: number, argv: readonly string[], isReset: boolean]>([
    [6.99, WEEK, false],
    [7.01, WEEK, true],
    [0.99, ['--password-max-age=1'], false],
    [1.01, ['--password-max-age=1'], true],
    [29.99, ['-PasswordMaxAge:30'], false],
    [30.01, ['-PasswordMaxAge:30'], true],
    [9000, [], false],
  ])('of %d days is set anew, with %j: %s', async (days, argv, isReset) => {
    const machine = await machineWithPasswordOf(days);
    const before = await stateOf(machine);
    const { stdout, code } = await machine.cmdlet(...ONE, ...argv);
    expect(rowsOf(stdout)).toEqual(isReset ? [RESET, TESTED] : [TESTED]);
    expect(code).toBe(0);
    const after = await stateOf(machine);
    if (!isReset) expect(after).toEqual(before);
    expect(await letsIn(account().user, before.kept?.current?.password as string)).toBe(!isReset);
    expect(await letsIn(account().user, machine.password())).toBe(true);
    expect(after.set).toEqual([after.kept?.current?.passwordSet]);
    // Now it is new.
    expect(rowsOf((await machine.cmdlet(...ONE, ...argv)).stdout)).toEqual([TESTED]);
    expect(await stateOf(machine)).toEqual(after);
  });

  test.each([
    ['a month behind', -30],
    ['a month ahead', 30],
    ['five hours behind', -5 / 24],
    ['five hours ahead', 5 / 24],
  ])('is as old as the clock of the directory says, which is %s of ours', async (_, wrongBy) => {
    const machine = await machineWithPasswordOf(6.9, wrongBy);
    expect(rowsOf((await machine.cmdlet(...ONE, ...WEEK)).stdout)).toEqual([TESTED]);
    goTo(wrongBy + 7.1);
    expect(rowsOf((await machine.cmdlet(...ONE, ...WEEK)).stdout)).toEqual([RESET, TESTED]);
  });

  test.each(['0', '-1', 'x', '7.5', '10000'])('has no age of %s days', async (days) => {
    const machine = await machineWithPasswordOf(8);
    const before = await stateOf(machine);
    const { stdout, code } = await machine.cmdlet(...ONE, `--password-max-age=${days}`);
    expect(stdout).toMatch(/^ERROR: usage, --password-max-age/m);
    expect(code).toBe(3);
    expect(await stateOf(machine)).toEqual(before);
  });

  test('that is due is only told of by -WhatIf', async () => {
    const machine = await machineWithPasswordOf(8);
    const before = await stateOf(machine);
    const { stdout, code } = await machine.cmdlet(...ONE, ...WEEK, '-WhatIf');
    expect(stdout.trimEnd().split('\n')).toEqual([
      `What if: set a new password for ${account().user} (${account().dn}) by way of dc01.example.test`,
      expect.stringContaining('What if: log on to ex2019.example.test port 110 (tls)'),
    ]);
    expect(code).toBe(0);
    expect(await stateOf(machine)).toEqual(before);
  });

  test('that has to be changed first is set anew too', async () => {
    const machine = await machineWithPasswordOf(1);
    await samba().modify(`dn: ${account().dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 0\n`);
    const refused = await machine.cmdlet(...ONE);
    expect(refused.stdout).toContain(`the password of ${account().user} has expired`);
    expect(refused.code).toBe(3);
    const { stdout, code } = await machine.cmdlet(...ONE, ...WEEK);
    expect(rowsOf(stdout)).toEqual([RESET, TESTED]);
    expect(code).toBe(0);
  });

  describe('that is due and that nobody may set', () => {
    test('is a row of a -MonitoringContext with an event of its own, and the servers are tested with it', async () => {
      const machine = await machineWithPasswordOf(8);
      const before = await stateOf(machine);
      const { stdout, code } = await machine.cmdlet(...ONE, ...WEEK, '-MonitoringContext', '--format', 'json');
      const source = 'MSExchange Monitoring POPConnectivity';
      expect(JSON.parse(stdout)).toMatchObject([
        {
          ...{ casServer: 'dc01.example.test', scenario: 'Reset Credentials', result: 'Skipped' },
          error: {
            reason: 'password-due',
            message: expect.stringContaining(`the password of ${account().user} was set`),
          },
          events: [{ source, id: 1002, type: 'Warning', message: expect.stringContaining('password-due') }],
        },
        {
          ...{ casServer: 'ex2019.example.test', scenario: 'Test POP3 Connectivity', result: 'Success' },
          events: [{ source, id: 1000, type: 'Information' }],
        },
      ]);
      expect(code).toBe(1);
      expect(await stateOf(machine)).toEqual(before);
    });

    test('is a WARNING of a plugin, beside servers that are well', async () => {
      const machine = await machineWithPasswordOf(8);
      const before = await stateOf(machine);
      const one = await machine.check('-H', 'EX2019', ...WEEK);
      // One line of one server, with every number it has on other days.
      expect(one.stdout).toMatch(/^POP3 WARNING - ex2019\.example\.test: password-due, .* \| time=.* time_login=.*\n$/);
      expect(one.stdout).toContain('Test-PopConnectivity -ResetTestAccountCredentials');
      expect({ stderr: one.stderr, code: one.code }).toEqual({ stderr: '', code: 1 });
      const { stdout, code } = await machine.check(...WEEK);
      for (const name of ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'])
        expect(stdout).toContain(`[WARNING] ${name}.example.test: password-due, `);
      expect(code).toBe(1);
      expect(await stateOf(machine)).toEqual(before);
      // As long as it is not, nothing is said of it.
      const { line, code: well } = await machine.check('-H', 'EX2019', '--password-max-age=30');
      expect(line).toMatch(/^POP3 OK - ex2019\.example\.test: logon /);
      expect(well).toBe(0);
    });

    test.each([
      ['ok', 0],
      ['critical', 2],
    ])('counts as what --severity says: %s', async (state, code) => {
      const machine = await machineWithPasswordOf(8);
      const ended = await machine.check('-H', 'EX2019', ...WEEK, '--severity', `password-due=${state}`);
      expect(ended.stdout).toMatch(new RegExp(`^POP3 ${state.toUpperCase()} - `));
      expect(ended.code).toBe(code);
    });

    test('is not set by force either', async () => {
      const machine = await machineWithPasswordOf(8);
      const before = await stateOf(machine);
      const refused = await machine.cmdlet('-ResetTestAccountCredentials', '-MonitoringContext', ...ONE);
      expect(refused.stdout + refused.stderr).toContain(
        '--reset-test-account-credentials and --monitoring-context contradict each other',
      );
      expect(refused.code).toBe(3);
      const { stdout, code } = await machine.check('-H', 'EX2019', '--reset-test-account-credentials');
      expect(stdout).toMatch(/^POP3 UNKNOWN - usage/);
      expect(code).toBe(3);
      expect(await stateOf(machine)).toEqual(before);
    });

    test('is not set by whoever may not, and the tests go on with the old one', async () => {
      const machine = await machineWithPasswordOf(8);
      const before = await stateOf(machine);
      const { stdout, code } = await machine.with({ by: samba().probe }).cmdlet(...ONE, ...WEEK);
      expect(rowsOf(stdout)).toEqual(['dc01 Reset Credentials Failure', TESTED]);
      expect(readTable(stdout)[0]?.Error).toContain(`may not reset the password of ${account().user}`);
      expect(code).toBe(2);
      expect(await stateOf(machine)).toEqual(before);
    });
  });
});
