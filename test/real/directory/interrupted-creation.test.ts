import { beforeAll, describe, expect, test } from 'vitest';
import { withAccountDoor, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { CONFIGURATION_DN, SAMBA } from '../../support/samba.ts';

/** One server and the mailboxes behind it: nothing that there is no account for is told of. */
const ONE = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019'];
const RESET = ['-ResetTestAccountCredentials', ...ONE];
const TESTED = ['ex2019 Test POP3 Connectivity Success'];
/** Either the domain controller never hears of a step, or it has done it and the run never hears of that. */
const EITHER = ['asked', 'answered'] as const;

// Killed by SIGKILL it cannot clean up: the next run, straight to the domain controller, has to get along.
describe.skipIf(missing(SAMBA, AD_DOVECOT))('killed at every step, where there is no password yet,', () => {
  const scene = withTestAccounts();
  const { samba, account, newMachine, attributes, letsIn, setPassword } = scene;
  const { stepsOf, killAt } = withAccountDoor(scene);
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const wrongOnes = async (dn: string): Promise<number> => Number((await attributes(dn)).badPwdCount?.[0]);

  test.each(EITHER)('a reset takes the account over, then or the next time: %s', async (when) => {
    const steps = await stepsOf(newMachine(), ...RESET);
    const modify = steps.indexOf('modify') + 1;
    // What is before belongs to finding the account: nothing of it is on the disk yet.
    for (let nth = modify - 2; nth <= steps.length; nth++) {
      const step = `${steps[nth - 1]}, ${nth} of ${steps.length}`;
      // An old one is no wrong one to the directory, for a while.
      await setPassword(account(), `Garden-Gate-${nth}-${when}`);
      const machine = newMachine();
      await killAt(machine, { nth, when }, ...RESET);
      const isSet = nth > modify || (nth === modify && when === 'answered');
      const first = await machine.cmdlet(...ONE);
      const wrong = await wrongOnes(account().dn);
      if (isSet) {
        expect(rowsOf(first.stdout), `${step}\n${first.stdout}`).toEqual(TESTED);
        expect(wrong, step).toBe(0);
      } else {
        expect(first.stdout, step).toContain(`the password of ${account().user} is not kept on this machine`);
        expect(first.code, step).toBe(3);
        expect(wrong, step).toBeLessThanOrEqual(1);
        // It is known to be wrong now, and not tried again.
        await machine.cmdlet(...ONE);
        expect(await wrongOnes(account().dn), step).toBe(wrong);
        expect(rowsOf((await machine.cmdlet(...RESET)).stdout)).toEqual(['dc01 Reset Credentials Success', ...TESTED]);
      }
      expect(machine.kept(), step).toMatchObject({ next: null });
    }
  });

  describe('the making of an account', () => {
    const SITE = ['--local-site', 'Site-C'];
    const AT = [...SITE, '-ClientAccessServer', 'EX2019'];
    let name: string;
    let siteGuid: string;
    const dn = () => `CN=${name},${samba().testOu}`;
    const made = (): readonly string[] => [...SITE, '--new-test-user', '--ou', samba().testOu];
    const isThere = async (): Promise<boolean> =>
      (await samba().search(samba().testOu, 'one', `(cn=${name})`, ['cn'])).length > 0;
    beforeAll(async () => {
      const site = `CN=Site-C,CN=Sites,${CONFIGURATION_DN}`;
      await samba().modify(`dn: ${site}\nchangetype: add\nobjectClass: site\n`);
      siteGuid = (await attributes(site)).objectGUID?.[0] as string;
      name = `extest_${siteGuid.replaceAll('-', '').slice(0, 13)}`;
    });
    const unmade = async (): Promise<void> => {
      if (await isThere()) await samba().modify(`dn: ${dn()}\nchangetype: delete\n`);
    };

    test.each(EITHER)('leaves none, or one that logs on: %s', async (when) => {
      await unmade();
      const steps = await stepsOf(newMachine(), ...made());
      const add = steps.indexOf('add') + 1;
      expect(steps.filter((step) => step === 'add')).toHaveLength(1);
      for (const [at, operation] of steps.entries()) {
        const nth = at + 1;
        const step = `${operation}, ${nth} of ${steps.length}`;
        await unmade();
        const machine = newMachine();
        await killAt(machine, { nth, when }, ...made());
        const isMade = nth > add || (nth === add && when === 'answered');
        expect(await isThere(), step).toBe(isMade);
        if (!isMade) {
          // Nothing is left of it, here or there.
          if (nth < add) {
            expect(machine.kept(siteGuid), step).toBe(null);
            continue;
          }
          expect((await machine.cmdlet(...AT)).stdout, step).toContain(
            `there is no test account ${name} for the site Site-C`,
          );
          const again = await machine.cmdlet(...made());
          expect(rowsOf(again.stdout), `${step}\n${again.stdout}`).toEqual(['dc01 New Test User Success']);
        }
        const { stdout, code } = await machine.cmdlet(...AT);
        expect(rowsOf(stdout), `${step}\n${stdout}`).toEqual(TESTED);
        expect(code, step).toBe(0);
        expect(machine.kept(siteGuid), step).toMatchObject({ next: null });
        expect(await wrongOnes(dn()), step).toBe(0);
      }
    });

    test('is finished by the next --new-test-user', async () => {
      await unmade();
      const machine = newMachine();
      await killAt(machine, { nth: 1, of: 'add', when: 'answered' }, ...made());
      expect(machine.kept(siteGuid)?.current).toBe(null);
      const { stdout, code } = await machine.cmdlet(...made());
      expect(rowsOf(stdout), stdout).toEqual(['dc01 New Test User Success']);
      expect(code).toBe(0);
      const { current, next } = machine.kept(siteGuid) ?? {};
      expect(next).toBe(null);
      expect(await letsIn(`${name}@example.test`, current?.password as string)).toBe(true);
    });
  });
});
