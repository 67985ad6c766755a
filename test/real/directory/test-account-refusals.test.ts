import { chmodSync, chownSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import type { Ended } from '../../support/run.ts';
import { CONFIGURATION_DN, DOMAIN_DN, SAMBA } from '../../support/samba.ts';

/** One server and the mailboxes behind it: nothing that there is no account for is told of. */
const ONE = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019'];
const RESET = ['-ResetTestAccountCredentials', ...ONE];
const TESTED = 'ex2019 Test POP3 Connectivity Success';
const OURS_ALONE = /a file with a password has to be ours alone \(chown, chmod 600\)/;
/** A folder is read-only for what comes after it, whoever runs that. */
const READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';

describe.skipIf(missing(SAMBA, AD_DOVECOT))('the test account', () => {
  const scene = withTestAccounts();
  const { samba, dovecot, folder, account, newMachine, settledMachine, attributes, letsIn, setPassword } = scene;
  const visits = (): number => dovecot().visits('ex2019.example.test');
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const change = (attribute: string, value: string, dn = account().dn): Promise<void> =>
    samba().modify(`dn: ${dn}\nchangetype: modify\nreplace: ${attribute}\n${attribute}: ${value}\n`);
  /** What must not change where something is refused: the password in the directory, the file here. */
  const stateOf = async (machine: Machine) => ({
    set: (await attributes(account().dn)).pwdLastSet,
    files: machine.files().map((name) => [name, readFileSync(join(machine.state, name), 'latin1')]),
  });
  const siteC = `CN=Site-C,CN=Sites,${CONFIGURATION_DN}`;
  beforeAll(() => samba().modify(`dn: ${siteC}\nchangetype: add\nobjectClass: site\n`));
  const make = (machine: Machine, unit = samba().testOu): Promise<Ended> =>
    machine.cmdlet('--new-test-user', '--local-site', 'Site-C', '--ou', unit);
  const isMade = async (): Promise<boolean> =>
    (await samba().search(DOMAIN_DN, 'sub', '(description=*Site-C*)', ['cn'])).length > 0;

  describe('is out of reach for whoever has no right', () => {
    test('to reset its password: that is told, and the servers are tested with the old one', async () => {
      const machine = await settledMachine();
      const before = await stateOf(machine);
      const { stdout, code } = await machine.with({ by: samba().probe }).cmdlet(...RESET);
      expect(rowsOf(stdout)).toEqual(['dc01 Reset Credentials Failure', TESTED]);
      expect(readTable(stdout)[0]?.Error).toContain(
        `directory-refused in directory, the account of --directory-credential may not reset the password of ${account().user}`,
      );
      expect(code).toBe(2);
      expect(await stateOf(machine)).toEqual(before);
      expect((await machine.cmdlet(...ONE)).code).toBe(0);
    });

    test('to reset its password, where there is no old one: then nobody is tested', async () => {
      const machine = newMachine({ by: samba().probe });
      const before = { ...(await stateOf(machine)), visits: visits() };
      const { stdout, code } = await machine.cmdlet(...RESET);
      expect(stdout).toMatch(/^ERROR: directory-refused in directory, .* may not reset the password of /m);
      expect(code).toBe(3);
      expect({ ...(await stateOf(machine)), visits: visits() }).toEqual(before);
    });

    test.each<readonly [where: string, who: 'probe' | 'operator', unit: () => string]>([
      ['anywhere', 'probe', () => samba().testOu],
      ['but in another unit', 'operator', () => `CN=Users,${DOMAIN_DN}`],
    ])('to make it %s', async (_, who, unit) => {
      const machine = newMachine({ by: samba()[who] });
      const { stdout, code } = await make(machine, unit());
      expect(stdout).toMatch(/^ERROR: directory-refused in directory, the account of --directory-credential /m);
      expect(stdout).toContain(`may not make users in ${unit()}`);
      expect(code).toBe(3);
      expect(await isMade()).toBe(false);
      expect(machine.files()).toEqual([]);
    });
  });

  test('is out of reach at the global catalogue, which nobody writes to: it is tested with the old password', async () => {
    const machine = await settledMachine();
    const before = await stateOf(machine);
    const { stdout, code } = await machine.cmdlet(...RESET, '--directory-port', '3269');
    expect(rowsOf(stdout)).toEqual(['dc01 Reset Credentials Failure', TESTED]);
    expect(readTable(stdout)[0]?.Error).toContain('directory-refused in directory, dc01.example.test port 3269: ');
    expect(code).toBe(2);
    expect(await stateOf(machine)).toEqual(before);
  });

  describe('in a domain whose policy asks for longer passwords', () => {
    const POLICY = "the domain's password policy refuses a password of 32 characters of four classes";
    let machine: Machine;
    beforeAll(async () => {
      machine = await settledMachine();
      await change('minPwdLength', '40', DOMAIN_DN);
    });
    afterAll(() => change('minPwdLength', '7', DOMAIN_DN));

    test('keeps its old password, and that works', async () => {
      const before = await stateOf(machine);
      const { stdout, code } = await machine.cmdlet(...RESET);
      expect(rowsOf(stdout)).toEqual(['dc01 Reset Credentials Failure', TESTED]);
      expect(readTable(stdout)[0]?.Error).toContain(`directory-refused in directory, ${POLICY}`);
      expect(code).toBe(2);
      expect(await stateOf(machine)).toEqual(before);
      expect(await letsIn(account().user, machine.password())).toBe(true);
    });

    test('is not taken over, and not made', async () => {
      const other = newMachine();
      const before = await stateOf(other);
      for (const { stdout, code } of [await other.cmdlet(...RESET), await make(other)]) {
        expect(stdout).toMatch(/^ERROR: directory-refused in directory, /m);
        expect(stdout).toContain(POLICY);
        expect(code).toBe(3);
      }
      expect(await stateOf(other)).toEqual(before);
      expect(await isMade()).toBe(false);
    });
  });

  describe('that nobody can log on with is not tried:', () => {
    test('disabled', async () => {
      const machine = await settledMachine();
      await change('userAccountControl', '514');
      const before = { ...(await stateOf(machine)), visits: visits() };
      for (const argv of [ONE, RESET]) {
        const { stdout, code } = await machine.cmdlet(...argv);
        expect(stdout).toContain(`test-account-missing in directory, the test account ${account().user} is disabled`);
        expect(code).toBe(3);
      }
      expect({ ...(await stateOf(machine)), visits: visits() }).toEqual(before);
      await change('userAccountControl', '512');
      expect((await machine.cmdlet(...ONE)).code).toBe(0);
    });

    test('locked', async () => {
      const machine = await settledMachine();
      for (let attempt = 0; attempt < 3; attempt++) expect(await letsIn(account().user, 'Wrong-Horse-1')).toBe(false);
      const before = { ...(await stateOf(machine)), visits: visits() };
      for (const argv of [ONE, RESET]) {
        const { stdout, code } = await machine.cmdlet(...argv);
        expect(stdout).toContain(`test-account-missing in directory, the test account ${account().user} is locked`);
        expect(code).toBe(3);
      }
      expect({ ...(await stateOf(machine)), visits: visits() }).toEqual(before);
      await change('lockoutTime', '0');
      expect((await machine.cmdlet(...ONE)).code).toBe(0);
    });

    test('expired, until it is reset', async () => {
      const machine = await settledMachine();
      await change('pwdLastSet', '0');
      const before = visits();
      const { stdout, code } = await machine.cmdlet(...ONE);
      expect(stdout).toContain(
        `the password of ${account().user} has expired: -ResetTestAccountCredentials sets a new`,
      );
      expect(code).toBe(3);
      expect(visits()).toBe(before);
      expect(rowsOf((await machine.cmdlet(...RESET)).stdout)).toEqual(['dc01 Reset Credentials Success', TESTED]);
    });
  });

  describe('has its password in a file that', () => {
    /** Both an ordinary run and a reset are refused in one line, and nothing is changed. */
    const refused = async (machine: Machine, why: RegExp): Promise<void> => {
      const before = { ...(await stateOf(machine)), visits: visits() };
      // Another one with the same folder: what is in it is looked at by nobody but the command.
      const { cmdlet } = newMachine({ place: machine.state });
      for (const { stdout, stderr, code } of [await cmdlet(...ONE), await cmdlet(...RESET)]) {
        expect(stdout).toMatch(/^ERROR: \S+( in \w+)?, [^\n]+\n$/);
        expect(stdout).toMatch(why);
        expect({ stderr, code }).toEqual({ stderr: '', code: 3 });
      }
      expect({ ...(await stateOf(machine)), visits: visits() }).toEqual(before);
    };
    const fileOf = (machine: Machine): string => {
      const [name = ''] = machine.files().filter((each) => each.endsWith('.json'));
      return join(machine.state, name);
    };

    test.each([
      ['is empty', () => ''],
      ['is cut off', (kept: string) => kept.slice(0, 60)],
      ['is no object', () => '[]'],
      ['is nothing', () => 'null'],
      ['has nothing of it', () => '{"version":1}'],
      ['has a number for a password', (kept: string) => kept.replace(/"password":"[^"]*"/, '"password":5')],
      ['has nobody in it', (kept: string) => kept.replace(/"userName":"[^"]*"/, '"userName":""')],
      ['is octets', () => '\0\xff\xfe'],
    ])('%s: it is refused as damaged, and -ResetTestAccountCredentials makes it anew', async (_, damage) => {
      const machine = await settledMachine();
      writeFileSync(fileOf(machine), damage(readFileSync(fileOf(machine), 'utf8')), 'latin1');
      // Read as it is: what is in it is no store any more.
      const { stdout, code } = await newMachine({ place: machine.state }).cmdlet(...ONE);
      expect(stdout).toContain(`${fileOf(machine)} is damaged`);
      expect(code).toBe(3);
      const { stdout: said } = await newMachine({ place: machine.state }).cmdlet(...RESET);
      expect(rowsOf(said)).toEqual(['dc01 Reset Credentials Success', TESTED]);
      expect((await machine.cmdlet(...ONE)).code).toBe(0);
    });

    test.each<readonly [what: string, spoil: (path: string) => void, why: RegExp]>([
      ['others may read', (path) => chmodSync(path, 0o644), OURS_ALONE],
      ['is of somebody else', (path) => chownSync(path, 65_534, 65_534), OURS_ALONE],
      [
        'is a way to one that others may read',
        (path) => {
          renameSync(path, `${path}.elsewhere`);
          chmodSync(`${path}.elsewhere`, 0o644);
          symlinkSync(`${path}.elsewhere`, path);
        },
        OURS_ALONE,
      ],
      [
        'is of another version of this program',
        (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"version":1', '"version":2')),
        /is of another version of this program: update it/,
      ],
      [
        'is a way to no file',
        (path) => {
          rmSync(path);
          symlinkSync('/dev/null', path);
        },
        /the password of the test account cannot be read/,
      ],
    ])('%s is refused, also for a reset', async (_, spoil, why) => {
      const machine = await settledMachine();
      spoil(fileOf(machine));
      await refused(machine, why);
    });
  });

  describe('needs a folder for its password that', () => {
    const refuses = async (machine: Machine, why: RegExp): Promise<void> => {
      const before = { ...(await stateOf(machine)), visits: visits() };
      for (const asked of [() => machine.cmdlet(...RESET), () => make(machine)]) {
        const { stdout, stderr, code } = await asked();
        expect(stdout).toMatch(/^ERROR: \S+( in \w+)?, [^\n]+\n$/);
        expect(stdout).toMatch(why);
        expect({ stderr, code }).toEqual({ stderr: '', code: 3 });
      }
      expect({ ...(await stateOf(machine)), visits: visits() }).toEqual(before);
      expect(await isMade()).toBe(false);
    };

    test('is one, and not a file', async () => {
      const file = folder.file('no-folder', 'something else');
      await refuses(newMachine({ place: file }), /the password of the test account has no place: .*; give --state-dir/);
      await refuses(newMachine({ place: join(file, 'below') }), /the password of the test account has no place: /);
      expect(readFileSync(file, 'utf8')).toBe('something else');
    });

    test('may be written to', async () => {
      const machine = newMachine();
      await refuses(
        machine.with({ prefix: ['sh', '-c', READ_ONLY, 'sh', machine.state] }),
        /^ERROR: local-resources.* cannot be made: EROFS/m,
      );
    });

    test('may only be read, where the password is in it already: then the servers are tested', async () => {
      const machine = await settledMachine();
      const reading = machine.with({ prefix: ['sh', '-c', READ_ONLY, 'sh', machine.state] });
      const { stdout, code } = await reading.cmdlet(...ONE);
      expect(rowsOf(stdout)).toEqual([TESTED]);
      expect(code).toBe(0);
    });

    test('outlives a restart of the machine', async () => {
      const temporary = folder.state();
      const env = { STATE_DIRECTORY: '', XDG_STATE_HOME: '', HOME: '', LOCALAPPDATA: '', TMPDIR: temporary };
      await refuses(
        newMachine({ place: null, circumstances: { env } }),
        /is emptied when the machine restarts: give --state-dir/,
      );
    });

    test.each([
      ['$STATE_DIRECTORY of systemd', (place: string) => ({ STATE_DIRECTORY: place, HOME: '' }), ''],
      [
        '$HOME',
        (place: string) => ({ STATE_DIRECTORY: '', XDG_STATE_HOME: '', HOME: place }),
        '.local/state/pop-connectivity',
      ],
    ])('is that of %s if nobody names one', async (_, env, below) => {
      const place = folder.state();
      const machine = newMachine({ place: null, circumstances: { env: env(place) } });
      expect((await machine.cmdlet(...RESET)).code).toBe(0);
      expect((await newMachine({ place: join(place, below) }).cmdlet(...ONE)).code).toBe(0);
    });
  });

  test('has a password that no trace shows', async () => {
    const machine = await settledMachine();
    // What any output of it holds is looked at in every run of these tests: this one shows what is said.
    const { stdout, code } = await machine.check('-H', 'EX2019', '-vvv');
    expect(stdout).toMatch(/AUTH PLAIN|PASS /);
    expect(stdout).toContain('***');
    expect(code).toBe(0);
    await setPassword(account(), 'Garden-Gate-6');
  });
});
