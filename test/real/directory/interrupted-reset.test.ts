import { describe, expect, test } from 'vitest';
import { withAccountDoor, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { SAMBA } from '../../support/samba.ts';

/** One server and the mailboxes behind it: nothing that there is no account for is told of. */
const ONE = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019'];
const RESET = ['-ResetTestAccountCredentials', ...ONE];
const TESTED = ['ex2019 Test POP3 Connectivity Success'];
/** Either the domain controller never hears of a step, or it has done it and the run never hears of that. */
const EITHER = ['asked', 'answered'] as const;

// Killed by SIGKILL it cannot clean up: the next run, straight to the domain controller, has to get along.
describe.skipIf(missing(SAMBA, AD_DOVECOT))('killed at every step of what it asks the directory', () => {
  const scene = withTestAccounts();
  const { account, settledMachine, attributes, setPassword } = scene;
  const { stepsOf, killAt, loseAt } = withAccountDoor(scene);
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const inDirectory = async () => {
    const {
      pwdLastSet: [set = ''] = [],
      badPwdCount: [wrong = ''] = [],
      badPasswordTime,
    } = await attributes(account().dn);
    return { set, wrong: Number(wrong), lastWrong: badPasswordTime?.[0] };
  };

  test.each(EITHER)('a reset leaves a password that is right, whichever it is: %s', async (when) => {
    const machine = await settledMachine();
    const steps = await stepsOf(machine, ...RESET);
    const modify = steps.indexOf('modify') + 1;
    expect(steps.filter((step) => step === 'modify')).toHaveLength(1);
    expect(steps.filter((step) => step === 'bind').length).toBeGreaterThan(2);
    const { lastWrong } = await inDirectory();
    for (const [at, operation] of steps.entries()) {
      const nth = at + 1;
      const step = `${operation}, ${nth} of ${steps.length}`;
      const before = { ...(await inDirectory()), password: machine.password() };
      await killAt(machine, { nth, when }, ...RESET);
      const isSet = nth > modify || (nth === modify && when === 'answered');
      const { set } = await inDirectory();
      expect(set !== before.set, step).toBe(isSet);
      const { stdout, code } = await machine.cmdlet(...ONE);
      expect(rowsOf(stdout), `${step}\n${stdout}`).toEqual(TESTED);
      expect(code, step).toBe(0);
      const kept = machine.kept();
      expect(kept, step).toMatchObject({ current: { passwordSet: set } });
      // One that was never set may be yet: the request may be on its way, or another domain controller may have it.
      expect(kept?.next !== null, step).toBe(nth >= modify && !isSet);
      expect(kept?.current?.password !== before.password, step).toBe(isSet);
      // Not even once a wrong one was tried.
      expect(await inDirectory(), step).toEqual({ set, wrong: 0, lastWrong });
    }
  });

  test.each(EITHER)('an ordinary run that finds out which password is right: %s', async (when) => {
    const machine = await settledMachine();
    const cutShort = () => killAt(machine, { nth: 1, of: 'modify', when: 'answered' }, ...RESET);
    await cutShort();
    const steps = await stepsOf(machine, ...ONE);
    expect(machine.kept()?.next).toBe(null);
    expect(steps.filter((step) => step === 'bind')).toHaveLength(2);
    for (const [at, operation] of steps.entries()) {
      const step = `${operation}, ${at + 1} of ${steps.length}`;
      await cutShort();
      await killAt(machine, { nth: at + 1, when }, ...ONE);
      const { stdout, code } = await machine.cmdlet(...ONE);
      expect(rowsOf(stdout), `${step}\n${stdout}`).toEqual(TESTED);
      expect(code, step).toBe(0);
      expect(machine.kept(), step).toMatchObject({ next: null });
      expect((await inDirectory()).wrong, step).toBe(0);
    }
  });

  test('a reset after a reset that was cut short, and so on, several times', async () => {
    const machine = await settledMachine();
    for (const when of [...EITHER, 'answered', 'answered', 'asked', 'asked', 'answered'] as const)
      await killAt(machine, { nth: 1, of: 'modify', when }, ...RESET);
    const { stdout, code } = await machine.cmdlet(...ONE);
    expect(rowsOf(stdout), stdout).toEqual(TESTED);
    expect(code).toBe(0);
    expect(machine.kept()).toMatchObject({ next: null });
    expect((await inDirectory()).wrong).toBe(0);
  });

  test.each(EITHER)(
    'a reset that loses the domain controller there is not tested with a wrong password: %s',
    async (when) => {
      const machine = await settledMachine();
      const steps = await stepsOf(machine, ...RESET);
      for (let nth = steps.indexOf('modify') + 1; nth <= steps.length; nth++) {
        const step = `${steps[nth - 1]}, ${nth} of ${steps.length}`;
        const lost = await loseAt(machine, { nth, when }, ...RESET);
        expect(lost.stdout, step).toContain('directory-unreachable');
        expect(lost.stdout, step).not.toContain('login-refused');
        expect([2, 3], step).toContain(lost.code);
        const { stdout, code } = await machine.cmdlet(...ONE);
        expect(rowsOf(stdout), `${step}\n${stdout}`).toEqual(TESTED);
        expect(code, step).toBe(0);
        expect(machine.kept(), step).toMatchObject({ current: { passwordSet: (await inDirectory()).set } });
        expect((await inDirectory()).wrong, step).toBe(0);
      }
    },
  );

  test('a request to set a password that is carried out later is not lost', async () => {
    const machine = await settledMachine();
    await killAt(machine, { nth: 1, of: 'modify', when: 'asked' }, ...RESET);
    const late = machine.kept()?.next?.password ?? '';
    // Nothing has been set: the old one is right.
    expect(rowsOf((await machine.cmdlet(...ONE)).stdout)).toEqual(TESTED);
    await setPassword(account(), late);
    const { stdout, code } = await machine.cmdlet(...ONE);
    expect(rowsOf(stdout), stdout).toEqual(TESTED);
    expect(code).toBe(0);
    expect(machine.kept()).toMatchObject({ current: { password: late }, next: null });
    expect((await inDirectory()).wrong).toBe(0);
  });
});
