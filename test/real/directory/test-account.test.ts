import { beforeAll, describe, expect, test } from 'vitest';
import { createSmtpServer } from '../../../src/sandbox/smtp.ts';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing, pathOf } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { CONFIGURATION_DN, DOMAIN_DN, SAMBA } from '../../support/samba.ts';
import { SCRIPT } from '../../support/terminal.ts';

/** The servers of Site-A that have POP3. */
const ABLE = ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'];
const SITE_C = `CN=Site-C,CN=Sites,${CONFIGURATION_DN}`;
/** One server and the mailboxes behind it: nothing that there is no account for is told of. */
const ONE = ['-ClientAccessServer', 'EX2019', '-MailboxServer', 'EX2019'];
const RESET = ['-ResetTestAccountCredentials', ...ONE];

describe.skipIf(missing(SAMBA, AD_DOVECOT, SCRIPT))('the test account of a site in a real Active Directory', () => {
  const { samba, dovecot, account, newMachine, settledMachine, attributes, letsIn, setPassword } = withTestAccounts();
  const visits = (): number => ABLE.reduce((sum, name) => sum + dovecot().visits(`${name}.example.test`), 0);
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);

  describe('is made', () => {
    /** A site that has none yet, and what its account is to be called. */
    let name: string;
    let siteGuid: string;
    const made = () => ({ name, dn: `CN=${name},${samba().testOu}`, user: `${name}@example.test` });
    const make = (machine: Machine, ...argv: readonly string[]) =>
      machine.cmdlet('--new-test-user', '--local-site', 'Site-C', ...argv);
    const isThere = async (): Promise<boolean> =>
      (await samba().search(DOMAIN_DN, 'sub', `(sAMAccountName=${name})`, ['cn'])).length > 0;
    beforeAll(async () => {
      await samba().modify(`dn: ${SITE_C}\nchangetype: add\nobjectClass: site\n`);
      siteGuid = (await attributes(SITE_C)).objectGUID?.[0] as string;
      name = `extest_${siteGuid.replaceAll('-', '').slice(0, 13)}`;
    });

    test('where it is said, hidden and small, with a password of its own, and then it logs on', async () => {
      const machine = newMachine();
      const { stdout, stderr, code } = await make(machine, '--ou', samba().testOu);
      expect(rowsOf(stdout)).toEqual(['dc01 New Test User Success']);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(stdout).toMatch(
        new RegExp(
          `^NOTE: New Test User at dc01\\.example\\.test: .* Enable-Mailbox -Identity '${name}@example\\.test'$`,
          'm',
        ),
      );
      expect(await attributes(made().dn)).toMatchObject({
        ...{ sAMAccountName: [name], userPrincipalName: [made().user], mail: [made().user] },
        ...{ msExchHideFromAddressLists: ['TRUE'], delivContLength: ['1000'], submissionContLength: ['1000'] },
        ...{ mDBUseDefaults: ['FALSE'], mDBOverQuotaLimit: ['1000'], mDBOverHardQuotaLimit: ['1000'] },
        userAccountControl: ['512'], // an ordinary account, enabled
      });
      const kept = machine.kept(siteGuid);
      expect(kept).toMatchObject({ version: 1, domain: 'example.test', userName: made().user, next: null });
      const password = kept?.current?.password as string;
      expect(password).toHaveLength(32);
      for (const each of [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(password).toMatch(each);
      expect(await letsIn(made().user, password)).toBe(true);
      const after = await machine.cmdlet('--local-site', 'Site-C', '-ClientAccessServer', 'EX2019,EX2010');
      expect(rowsOf(after.stdout)).toEqual([
        'ex2010 Test POP3 Connectivity Success',
        'ex2019 Test POP3 Connectivity Success',
      ]);
      expect(after.code).toBe(0);
    });

    test('once: a second time it is refused, with what to do on the machine that has its password or not', async () => {
      const before = await attributes(made().dn);
      const machine = newMachine();
      const { stdout, code } = await make(machine, '--ou', samba().testOu);
      expect(stdout).toContain(`the account ${made().dn} is there already: -ResetTestAccountCredentials takes it over`);
      expect(code).toBe(3);
      expect(machine.kept(siteGuid)).toBe(null);
      expect((await attributes(made().dn)).pwdLastSet).toEqual(before.pwdLastSet);
      const taken = await machine.cmdlet(
        ...['-ResetTestAccountCredentials', '-ClientAccessServer', 'EX2019', '--local-site', 'Site-C'],
      );
      expect(taken.code).toBe(0);
      const { stdout: said } = await make(machine, '--ou', samba().testOu);
      expect(said).toContain('is there already: and its password is kept here');
    });

    describe('if there is', () => {
      beforeAll(() => samba().modify(`dn: ${made().dn}\nchangetype: delete\n`));

      test('one unit of that name: where several are called Users, all of them are told', async () => {
        const branch = `OU=Branch,${DOMAIN_DN}`;
        const unit = (dn: string) => `dn: ${dn}\nchangetype: add\nobjectClass: organizationalUnit\n`;
        await samba().modify([unit(branch), unit(`OU=Users,${branch}`)].join('\n'));
        const machine = newMachine();
        const { stdout, code } = await make(machine);
        expect(stdout).toMatch(
          /^ERROR: configuration.*--ou: the usual one, Users, is more than one organizational unit, give one of: /m,
        );
        for (const each of [samba().testOu, `OU=Users,${branch}`, `CN=Users,${DOMAIN_DN}`])
          expect(stdout).toContain(each);
        expect(code).toBe(3);
        expect(machine.files()).toEqual([]);
      });

      test.each([
        'Nowhere',
        `OU=Nowhere,${DOMAIN_DN}`,
        'Exchange*',
        '*',
        ')(cn=*',
        'Exchange)(objectClass=*',
        '\\2a',
        'Exchang\\65',
        `OU=*,${DOMAIN_DN}`,
        `OU=Users,OU=Exchange,DC=example,DC=test)(cn=*`,
        'OU=',
        '',
      ])('that unit: %j is none, and nothing is made', async (given) => {
        const machine = newMachine();
        const { stdout, stderr, code } = await make(machine, '--ou', given);
        expect(stdout + stderr).toMatch(/^ERROR: (configuration|usage)\b.*--ou/m);
        expect(code).toBe(3);
        expect(machine.files()).toEqual([]);
        expect(await isThere()).toBe(false);
      });

      test('nobody who is tested besides', async () => {
        const machine = newMachine();
        const { stdout, code } = await make(machine, '--ou', samba().testOu, '-ClientAccessServer', 'EX2019');
        expect(stdout).toContain('--new-test-user and --client-access-server contradict each other');
        expect(code).toBe(3);
      });

      test('somebody to say yes, where -Confirm asks; -WhatIf only tells', async () => {
        const machine = newMachine();
        const argv = ['--ou', samba().testOu];
        const { stdout, code } = await make(machine, ...argv, '-WhatIf');
        expect(stdout).toBe(
          `What if: make the account ${made().user} in ${samba().testOu} by way of dc01.example.test\n`,
        );
        expect(code).toBe(0);
        const refused = await make(machine, ...argv, '-Confirm');
        expect(refused.stdout).toContain('--confirm has nobody to ask');
        expect(refused.code).toBe(3);
        expect(await isThere()).toBe(false);
        expect(machine.files()).toEqual([]);
      });
    });

    test('by the name of a unit, in any case, for a Mailbox server: the line then names a database there', async () => {
      await samba().modify(`dn: OU=Watched,${samba().testOu}\nchangetype: add\nobjectClass: organizationalUnit\n`);
      const machine = newMachine({ by: samba().administrator });
      const { stdout, code } = await make(machine, '--ou', 'WATCHED', '-MailboxServer', 'ex2019');
      expect(stdout).toContain(`Enable-Mailbox -Identity '${made().user}' -Database 'DB01'`);
      expect(code).toBe(0);
      expect((await attributes(`CN=${name},OU=Watched,${samba().testOu}`)).sAMAccountName).toEqual([name]);
      await samba().modify(`dn: CN=${name},OU=Watched,${samba().testOu}\nchangetype: delete\n`);
    });

    test('in the unit or container called Users, where there is but one and nobody names another', async () => {
      const rename = (dn: string, to: string) => `dn: ${dn}\nchangetype: modrdn\nnewrdn: ${to}\ndeleteoldrdn: 1\n`;
      const away = samba().testOu.replace('OU=Users', 'OU=Away');
      await samba().modify(rename(samba().testOu, 'OU=Away'));
      await samba().modify(`dn: OU=Users,OU=Branch,${DOMAIN_DN}\nchangetype: delete\n`);
      try {
        const { stdout, code } = await make(newMachine({ by: samba().administrator }));
        expect(rowsOf(stdout), stdout).toEqual(['dc01 New Test User Success']);
        expect(code).toBe(0);
        expect((await attributes(`CN=${name},CN=Users,${DOMAIN_DN}`)).sAMAccountName).toEqual([name]);
      } finally {
        await samba().modify(rename(away, 'OU=Users'));
        await samba().modify(`dn: CN=${name},CN=Users,${DOMAIN_DN}\nchangetype: delete\n`);
      }
    });

    test.each([
      ['EX2013CAS', 'EX2013CAS has no mailbox'],
      ['EX2099', 'EX2099 is no server of the Exchange organisation'],
    ])('not for the Mailbox server %s', async (server, why) => {
      const { stdout, code } = await make(newMachine(), '--ou', samba().testOu, '-MailboxServer', server);
      expect(stdout).toContain(why);
      expect(code).toBe(3);
      expect(await isThere()).toBe(false);
    });
  });

  describe('is given a new password', () => {
    test('when that is forced, and is tested with it at once: the old one is worth nothing any more', async () => {
      const machine = newMachine();
      const { stdout, stderr, code } = await machine.cmdlet('-ResetTestAccountCredentials');
      expect(stderr).toBe('');
      expect(rowsOf(stdout).slice(0, 1)).toEqual(['dc01 Reset Credentials Success']);
      for (const name of ABLE) expect(rowsOf(stdout)).toContain(`${name} Test POP3 Connectivity Success`);
      expect(code).toBe(1); // some were skipped: two servers without POP3, and Mailbox servers without an account
      expect(await letsIn(account().user, account().password)).toBe(false);
      expect(await letsIn(account().user, machine.password())).toBe(true);
      const { current, next } = machine.kept() ?? {};
      expect((await attributes(account().dn)).pwdLastSet).toEqual([current?.passwordSet]);
      expect(next).toBe(null);
      const again = await machine.cmdlet(...ONE);
      expect(rowsOf(again.stdout)).toEqual(['ex2019 Test POP3 Connectivity Success']);
      expect(again.code).toBe(0);
    });

    test('each time another one, of four classes', async () => {
      const machine = await settledMachine();
      const first = machine.password();
      expect((await machine.cmdlet(...RESET)).code).toBe(0);
      expect(machine.password()).not.toBe(first);
      for (const each of [/^.{32}$/, /[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/])
        expect(machine.password()).toMatch(each);
      expect(await letsIn(account().user, first)).toBe(false);
    });

    test.each([
      ['StartTLS', 389, () => ['--domain-controller', samba().fqdn, '--directory-connection-type', 'tls']],
      ['the domain controller that DNS names', 636, () => ['--directory-domain', 'example.test']],
    ] as const)('by way of %s', async (_, port, controller) => {
      const machine = newMachine({ controller: controller() });
      const { stdout, stderr, code } = await machine.cmdlet(...RESET, '--format', 'json');
      expect(JSON.parse(stdout), stderr).toMatchObject([
        { result: 'Success', port },
        { result: 'Success', port: 110 },
      ]);
      expect(code).toBe(0);
      expect(await letsIn(account().user, machine.password())).toBe(true);
    });

    test.each(['json', 'ndjson', 'list', 'csv', 'html'])('which is a row of its own as %s', async (format) => {
      const machine = await settledMachine();
      const { stdout, code } = await machine.cmdlet(...RESET, '--format', format, '-vvv');
      expect(code).toBe(0);
      const description =
        'Reset automated credentials for the Client Access test user on Mailbox server ex2019.example.test.';
      if (format === 'json' || format === 'ndjson') {
        const rows =
          format === 'json'
            ? JSON.parse(stdout)
            : stdout
                .trim()
                .split('\n')
                .map((row) => JSON.parse(row));
        expect(rows).toMatchObject([
          {
            ...{
              casServer: 'dc01.example.test',
              scenario: 'Reset Credentials',
              result: 'Success',
              localSite: 'Site-A',
            },
            ...{ mailboxServer: 'ex2019.example.test', userName: account().user, error: null, port: 636 },
          },
          {
            ...{ casServer: 'ex2019.example.test', scenario: 'Test POP3 Connectivity', result: 'Success' },
            mailboxServer: 'ex2019.example.test',
          },
        ]);
        return;
      }
      expect(stdout).toContain('Reset Credentials');
      if (format === 'html') return;
      expect(stdout).toContain(description);
      const lines = stdout.split(/\r?\n/);
      const block = lines.slice(0, lines.indexOf(''));
      if (format === 'list') {
        expect(block).toContainEqual(expect.stringMatching(/^ClientAccessServer +: dc01\.example\.test$/));
        expect(block).toContainEqual(expect.stringMatching(/^MailboxServer +: ex2019\.example\.test$/));
        expect(block).toContainEqual(expect.stringMatching(/^Port +: 636$/));
      } else {
        expect(lines[1]).toMatch(/^dc01,Site-A,Reset Credentials,Success,\d+\.\d\d,,dc01\.example\.test,/);
        expect(lines[2]).toMatch(/^ex2019,Site-A,Test POP3 Connectivity,Success,/);
      }
    });

    test('not by -WhatIf: it tells of it first, and nobody is called at', async () => {
      const machine = await settledMachine();
      const before = { kept: machine.kept(), set: (await attributes(account().dn)).pwdLastSet, visits: visits() };
      const { stdout, code } = await machine.cmdlet('-ResetTestAccountCredentials', '-WhatIf');
      const [first, ...others] = stdout.trimEnd().split('\n');
      expect(first).toBe(
        `What if: set a new password for ${account().user} (${account().dn}) by way of dc01.example.test`,
      );
      for (const name of ABLE) {
        const logon = `What if: log on to ${name}.example.test port 110 (tls) as ${account().user}`;
        expect(others).toContainEqual(expect.stringMatching(new RegExp(`^${logon.replace(/[().]/g, '\\$&')}`)));
      }
      expect([0, 1]).toContain(code);
      expect({ kept: machine.kept(), set: (await attributes(account().dn)).pwdLastSet, visits: visits() }).toEqual(
        before,
      );
      // Nor on a machine that has none yet.
      const fresh = newMachine();
      expect((await fresh.cmdlet(...RESET, '-WhatIf')).stdout).toContain('What if: set a new password for ');
      expect(fresh.files()).toEqual([]);
      expect((await attributes(account().dn)).pwdLastSet).toEqual(before.set);
    });

    test.each([
      ['y', 0],
      ['n', 3],
    ])('by -Confirm only where somebody on the terminal says yes: %s', async (key, code) => {
      const machine = await settledMachine();
      const before = machine.password();
      const { shown, ended } = await onTerminal(machine, [...RESET, '-Confirm'], `${key}\r`);
      expect(shown).toContain('About to');
      expect(shown).toContain('set a new password for');
      expect(ended, shown).toBe(code);
      expect(machine.password() !== before).toBe(key === 'y');
      expect(await letsIn(account().user, before)).toBe(key === 'n');
    });

    test('by -Confirm not at all where there is no terminal', async () => {
      const machine = await settledMachine();
      const before = { kept: machine.kept(), visits: visits() };
      const { stdout, code } = await machine.cmdlet(...RESET, '-Confirm');
      expect(stdout).toContain('--confirm has nobody to ask');
      expect(code).toBe(3);
      expect({ kept: machine.kept(), visits: visits() }).toEqual(before);
    });

    test('by two runs of one machine at once: one after the other, and the last one stays', async () => {
      const machine = newMachine();
      const both = await Promise.all([machine.cmdlet(...RESET), machine.cmdlet(...RESET)]);
      expect(both.map(({ stdout }) => rowsOf(stdout)[0])).toEqual(Array(2).fill('dc01 Reset Credentials Success'));
      expect(await letsIn(account().user, machine.password())).toBe(true);
      expect((await machine.cmdlet(...ONE)).code).toBe(0);
    });

    test('and with it sends, receives and removes a message', async () => {
      const machine = await settledMachine();
      const server = 'ex2019.example.test';
      const smtp = createSmtpServer({
        maildrop: { deliver: (message: Uint8Array) => dovecot().deliver(message, account().name) } as never,
        ...{ user: account().user, password: machine.password(), address: account().user },
        identity: await samba().authority.issue({ names: [server] }),
      });
      await new Promise<void>((resolve) => {
        smtp.server.listen(587, dovecot().addresses[server], resolve);
      });
      try {
        const full = machine.with({ test: ['--ca-file', samba().caFile] });
        const { stdout, code } = await full.cmdlet(...ONE, '--format', 'json');
        expect(JSON.parse(stdout)).toMatchObject([
          {
            result: 'Success',
            warnings: [],
            userName: account().user,
            roundTrip: { retrieved: true, deleted: true, verified: true },
          },
        ]);
        expect(code).toBe(0);
        expect(await dovecot().messages(account().name)).toBe(0);
      } finally {
        smtp.closeAllConnections();
        smtp.server.close();
      }
    });
  });

  describe('whose password was set elsewhere', () => {
    // Two old passwords of an account count for nothing when they are tried: this one is older than that.
    const setElsewhere = async (): Promise<void> => {
      for (const password of ['Garden-Gate-6', 'Garden-Gate-7', 'Garden-Gate-8'])
        await setPassword(account(), password);
    };

    test('is not even tried: it says so with the time, and nobody comes nearer to being locked', async () => {
      const machine = await settledMachine();
      await setElsewhere();
      const before = visits();
      for (const command of [machine.cmdlet, machine.check]) {
        const { stdout, code } = await command('-H', 'EX2019');
        expect(stdout).toContain('test-account-missing');
        expect(stdout).toMatch(
          new RegExp(`the password of ${account().user} was set elsewhere on ${today()} \\d\\d:\\d\\d:\\d\\d UTC`),
        );
        expect(stdout).toContain('-ResetTestAccountCredentials');
        expect(code).toBe(3);
      }
      expect(visits()).toBe(before);
      expect((await attributes(account().dn)).badPwdCount).toEqual(['0']);
    });

    test('is taken over by -ResetTestAccountCredentials', async () => {
      const machine = await settledMachine();
      await setElsewhere();
      const { stdout, code } = await machine.cmdlet(...RESET);
      expect(rowsOf(stdout)).toEqual(['dc01 Reset Credentials Success', 'ex2019 Test POP3 Connectivity Success']);
      expect(code).toBe(0);
      expect((await attributes(account().dn)).badPwdCount).toEqual(['0']);
    });

    test('or not by this machine at all is not known here', async () => {
      const machine = newMachine();
      const { stdout, code } = await machine.cmdlet('-ClientAccessServer', 'EX2019');
      expect(stdout).toContain(
        `test-account-missing in directory, the password of ${account().user} is not kept on this`,
      );
      expect(code).toBe(3);
      expect((await machine.check('-H', 'EX2019')).line).toMatch(/^POP3 UNKNOWN - test-account-missing in directory, /);
    });

    test('of a site that has no account is told with how to make one', async () => {
      const { stdout, code } = await newMachine().cmdlet('--local-site', 'Site-C', '-ClientAccessServer', 'EX2019');
      expect(stdout).toMatch(/test-account-missing.*there is no test account extest_\w{13} for the site Site-C/);
      expect(stdout).toContain('--new-test-user');
      expect(code).toBe(3);
    });
  });
});

/** On a terminal: what it showed, once it has asked and been answered. */
async function onTerminal(machine: Machine, argv: readonly string[], keys: string) {
  const script = ['sh', '-c', SCRIPTED, 'sh', pathOf('script')];
  const { stdout, code } = await machine
    .with({
      prefix: script,
      circumstances: {
        stdin: 'stays open',
        meanwhile(child) {
          let shown = '';
          let isAnswered = false;
          child.stdout?.on('data', (text: string) => {
            shown += text;
            if (isAnswered || !shown.includes('[y/N]')) return;
            isAnswered = true;
            child.stdin?.write(keys);
          });
        },
      },
    })
    .cmdlet(...argv);
  return { shown: stdout, ended: code };
}

/** script(1) takes a command of the shell: each word of it is quoted for that. */
const SCRIPTED = `script=$1; shift; words=
for word; do words="$words '$(printf %s "$word" | sed "s/'/'\\\\\\\\''/g")'"; done
exec "$script" -qec "$words" /dev/null`;

const today = (): string => new Date().toISOString().slice(0, 10);
