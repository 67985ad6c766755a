import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Machine, withAccountDoor, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { FAKETIME } from '../../support/icinga-cluster.ts';
import { missing } from '../../support/installed.ts';
import type { LdapMoment } from '../../support/ldap-doors.ts';
import { readTable } from '../../support/read-table.ts';
import type { Ended } from '../../support/run.ts';
import { SAMBA } from '../../support/samba.ts';

/** All front ends, each of which would count a wrong password. */
const ALL = ['-MailboxServer', 'EX2019'];
const RESET = ['-ResetTestAccountCredentials', ...ALL];
const ABLE = ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'];

describe.skipIf(missing(SAMBA, AD_DOVECOT, FAKETIME))('two machines that look after one test account', () => {
  const scene = withTestAccounts({ clock: 0 });
  const { samba, dovecot, account, newMachine, settledMachine, attributes, letsIn } = scene;
  const { holdAt, stepsOf } = withAccountDoor(scene);

  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const visits = (): number => ABLE.reduce((sum, name) => sum + dovecot().visits(`${name}.example.test`), 0);
  const wrongOnes = async (): Promise<number> => Number((await attributes(account().dn)).badPwdCount?.[0]);
  /** Two of them, with the same password in each: the file of one was copied to the other. */
  const twins = async (): Promise<readonly [Machine, Machine]> => {
    const [one, other] = [await settledMachine(), newMachine()];
    share(one, other);
    return [one, other];
  };
  const share = (one: Machine, other: Machine): void => {
    for (const name of one.files().filter((each) => each.endsWith('.json')))
      copyFileSync(join(one.state, name), join(other.state, name));
  };

  /** One of them has the password of the directory; the other knows that, tries nothing, and can take it over. */
  async function settledWith(winner: Machine, loser: Machine): Promise<void> {
    expect((await attributes(account().dn)).lockoutTime ?? ['0']).toEqual(['0']);
    expect(await wrongOnes()).toBeLessThan(3);
    expect(await letsIn(account().user, winner.password())).toBe(true);
    const well = await winner.cmdlet(...ALL);
    for (const name of ABLE) expect(rowsOf(well.stdout)).toContain(`${name} Test POP3 Connectivity Success`);
    for (let again = 0; again < 2; again++) {
      const before = { visits: visits(), wrong: await wrongOnes() };
      const { stdout, code } = await loser.cmdlet(...ALL);
      expect(stdout).toMatch(
        /^ERROR: test-account-missing in directory, the password of \S+ (was set elsewhere on |is not kept on this machine)/,
      );
      expect(code).toBe(3);
      expect(visits()).toBe(before.visits);
      // What it had made itself it may try once.
      expect(await wrongOnes()).toBeLessThanOrEqual(before.wrong + (again === 0 ? 1 : 0));
    }
    const taken = await loser.cmdlet(...RESET);
    expect(rowsOf(taken.stdout)[0]).toBe('dc01 Reset Credentials Success');
    expect(taken.code).toBe(1); // two servers of the site have no POP3
    expect(await letsIn(account().user, loser.password())).toBe(true);
    expect((await winner.cmdlet(...ALL)).stdout).toContain('was set elsewhere on ');
  }

  /** Sets it by one of them and gives the file to the other. */
  async function resetBy(one: Machine, other: Machine): Promise<void> {
    expect((await one.cmdlet(...RESET)).code).toBe(1);
    share(one, other);
  }

  /** A machine that was overtaken says so, and asks nobody with a password that cannot be right. */
  function expectOvertaken({ stdout, code }: Ended, before: number): void {
    expect(stdout).toContain(`another machine has set the password of ${account().user} just after this one`);
    expect(stdout).not.toContain('login-refused');
    expect(visits()).toBe(before);
    expect([2, 3]).toContain(code);
  }

  test('at once, several times: one has it, and the other knows that it has not', async () => {
    let machines = await twins();
    for (let round = 0; round < 5; round++) {
      await Promise.all(machines.map((machine) => machine.cmdlet(...RESET)));
      const [one, other] = machines;
      const isFirst = one.kept()?.next === null && (await letsIn(account().user, one.password()));
      const [winner, loser] = isFirst ? [one, other] : [other, one];
      await settledWith(winner, loser);
      machines = [winner, loser];
    }
  });

  /** The moment of the n-th message of a reset from the change of the password on: that is 0, then come look and logon. */
  const momentOf = async (machine: Machine, nth: number, when: LdapMoment['when']): Promise<LdapMoment> => {
    const steps = await stepsOf(machine, ...RESET);
    return { nth: steps.indexOf('modify') + 1 + nth, when };
  };

  describe('in step: another one sets it while one', () => {
    test.each<readonly [what: string, nth: number, when: LdapMoment['when']]>([
      ['has set its own and does not know it yet', 0, 'answered'],
      ['asks when its own was set', 1, 'asked'],
      ['hears when its own was set', 1, 'answered'],
      ['hears where its mailbox is', 2, 'answered'],
      ['is about to log on with its own', 3, 'asked'],
    ])('%s', async (_, nth, when) => {
      const [one, other] = await twins();
      const moment = await momentOf(one, nth, when);
      await resetBy(other, one);
      let before = 0;
      const overtaken = await holdAt(
        one,
        moment,
        async () => {
          expect(rowsOf((await other.cmdlet(...RESET)).stdout)[0]).toBe('dc01 Reset Credentials Success');
          before = visits();
        },
        ...RESET,
      );
      expectOvertaken(overtaken, before);
      await settledWith(other, one);
    });

    test('has logged on with its own already', async () => {
      const [one, other] = await twins();
      const moment = await momentOf(one, 3, 'answered');
      await resetBy(other, one);
      const before = await holdAt(one, moment, async () => void (await other.cmdlet(...RESET)), ...RESET);
      // When it asked it was right; what it finds at the servers then is as it is there.
      expect(rowsOf(before.stdout)[0]).toBe('dc01 Reset Credentials Success');
      await settledWith(other, one);
    });

    test('is about to set its own: then that is the one', async () => {
      const [one, other] = await twins();
      const moment = await momentOf(one, 0, 'asked');
      await resetBy(other, one);
      const last = await holdAt(one, moment, async () => void (await other.cmdlet(...RESET)), ...RESET);
      expect(rowsOf(last.stdout)[0]).toBe('dc01 Reset Credentials Success');
      expect(last.code).toBe(1);
      await settledWith(one, other);
    });
  });

  test('which is due for both: the one that comes second leaves it as it is', async () => {
    const [one, other] = await twins();
    samba().setClock(8 * 86_400);
    let before = 0;
    const argv = ['--password-max-age', ...ALL];
    const steps = await stepsOf(one, ...ALL);
    // It has found it due, and comes back to set it.
    const second = await holdAt(
      one,
      { nth: steps.length + 1, when: 'asked' },
      async () => {
        expect(rowsOf((await other.cmdlet(...argv)).stdout)[0]).toBe('dc01 Reset Credentials Success');
        before = visits();
      },
      ...argv,
    );
    expect(second.stdout).toContain(`the password of ${account().user} was set elsewhere on `);
    expect(second.stdout).not.toContain('login-refused');
    expect(visits()).toBe(before);
    await settledWith(other, one);
  });
});
