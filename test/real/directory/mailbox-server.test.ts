import { beforeAll, describe, expect, test } from 'vitest';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { launch, TEST_POP_CONNECTIVITY } from '../../support/run.ts';
import { CONFIGURATION_DN, SAMBA } from '../../support/samba.ts';

const GROUP = 'Exchange Administrative Group (FYDIBOHF23SPDLT)';
const ORGANISATION = `CN=${GROUP},CN=Administrative Groups,CN=First Organization,CN=Microsoft Exchange,CN=Services,${CONFIGURATION_DN}`;
const SERVERS = `CN=Servers,${ORGANISATION}`;
const LEGACY = `/o=First Organization/ou=${GROUP}/cn=Configuration/cn=Servers`;

/** The servers of Site-A that have POP3, and those that have not. */
const ABLE = ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'];
const UNABLE = ['edge', 'um2010'];
const HOME = 'ex2019.example.test';

describe.skipIf(missing(SAMBA, AD_DOVECOT))('-MailboxServer, with the test account of the site', () => {
  const { samba, dovecot, folder, account, newMachine, settledMachine, attributes } = withTestAccounts();
  let machine: Machine;
  let guid: string;
  beforeAll(async () => {
    machine = await settledMachine();
    guid = (await attributes(`CN=EX2019,${SERVERS}`)).objectGUID?.[0] as string;
  });
  const visits = (): number => ABLE.reduce((sum, name) => sum + dovecot().visits(`${name}.example.test`), 0);
  const rowsOf = (stdout: string) => readTable(stdout).map(({ CasServer, Result }) => `${CasServer} ${Result}`);
  const ONE = ['-ClientAccessServer', 'EX2010'];
  /** Nobody is called at, and the one line is why. */
  const refused = async (run: typeof machine.cmdlet, ...argv: readonly string[]): Promise<string> => {
    const before = visits();
    const { stdout, stderr, code } = await run(...argv);
    expect(stdout).toMatch(/^ERROR: [^\n]+\n$/);
    expect({ stderr, code }).toEqual({ stderr: '', code: 3 });
    expect(visits()).toBe(before);
    return stdout;
  };
  /** Writes an attribute of the test account anew, or without a value takes it away. */
  const change = (attribute: string, value?: string): Promise<void> =>
    samba().modify(
      `dn: ${account().dn}\nchangetype: modify\nreplace: ${attribute}\n${value === undefined ? '' : `${attribute}: ${value}\n`}`,
    );

  describe('where its mailbox is at home, is a row for each front end', () => {
    test('in the table, with nothing of other Mailbox servers', async () => {
      const { stdout, code } = await machine.cmdlet('-MailboxServer', 'EX2019');
      expect(rowsOf(stdout)).toEqual(['edge Skipped', ...ABLE.map((name) => `${name} Success`), 'um2010 Skipped']);
      expect(code).toBe(1);
    });

    test('and each tells of it in the list, CSV and JSON', async () => {
      const as = async (format: string) =>
        (await machine.cmdlet('-MailboxServer', 'EX2019', '--format', format)).stdout;
      const tested = JSON.parse(await as('json')).filter(({ result }: { result: string }) => result === 'Success');
      expect(tested.map(({ casServer, mailboxServer }: never) => [casServer, mailboxServer])).toEqual(
        ABLE.map((name) => [`${name}.example.test`, HOME]),
      );
      const list = await as('list');
      expect(list.match(/^MailboxServer *: ex2019\.example\.test$/gm)).toHaveLength(ABLE.length);
      const [names = '', ...rows] = (await as('csv')).trim().split('\r\n');
      const at = names.split(',').indexOf('MailboxServer');
      expect(at).toBeGreaterThan(0);
      const servers = rows.filter((row) => row.includes(',Success,')).map((row) => row.split(',')[at]);
      expect(servers).toEqual(ABLE.map(() => HOME));
    });

    test.each<readonly [form: string, given: () => string]>([
      ['name', () => 'EX2019'],
      ['host name', () => HOME],
      ['distinguished name', () => `CN=EX2019,${SERVERS}`],
      ['distinguished name with blanks', () => `CN = EX2019, ${SERVERS.replaceAll(',', ' , ')}`],
      ['ExchangeLegacyDN', () => `${LEGACY}/cn=EX2019`],
      ['GUID', () => guid],
      ['GUID in braces', () => `{${guid}}`],
    ])('by its %s, in any case', async (_, given) => {
      for (const form of [given(), given().toUpperCase(), given().toLowerCase()]) {
        const { stdout, code } = await machine.cmdlet(...ONE, '-MailboxServer', form, '--format', 'ndjson');
        expect(JSON.parse(stdout), form).toMatchObject({
          ...{ casServer: 'ex2010.example.test', mailboxServer: HOME, result: 'Success' },
        });
        expect(code).toBe(0);
      }
    });
  });

  describe('is refused', () => {
    test.each(['EX2013', 'EX2010', 'EXSE'])('where it is not at home there, and told where: %s', async (server) => {
      expect(await refused(machine.cmdlet, '-MailboxServer', server)).toContain(
        `test-account-missing in directory, -MailboxServer ${server}: the mailbox of ${account().user} is at home on EX2019`,
      );
    });

    test.each(['EX2013CAS', 'UM2010', 'EDGE'])('where it has no mailboxes: %s', async (server) => {
      expect(await refused(machine.cmdlet, '-MailboxServer', server)).toContain(`${server} has no mailboxes`);
    });

    test('under a name nobody has, and told who is called alike', async () => {
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2018')).toMatch(
        /-MailboxServer: EX2018 is no server of the Exchange organisation; there is .*EX2019/,
      );
    });

    test.each([
      ...['*', 'EX2019*', 'EX2019)(cn=*', String.raw`EX201\39`, `CN=*,${SERVERS}`],
      ...[`${LEGACY}/cn=*`, '{*}', ''],
    ])('under %j, for it is a name and not a filter', async (given) => {
      expect(await refused(machine.cmdlet, ...ONE, '-MailboxServer', given)).toMatch(
        /is no server of the Exchange organisation|usage, /,
      );
    });

    test('without a directory, rather than passed over', async () => {
      const argv = ['-ClientAccessServer', HOME, '-MailboxServer', 'EX2019', '-u', 'x', '--password-env', 'HOME'];
      const { stdout, code } = await launch(TEST_POP_CONNECTIVITY, [...argv, '--light-mode'], {});
      expect(stdout).toMatch(/^ERROR: usage, --mailbox-server needs --domain-controller or --directory-domain/);
      expect(code).toBe(3);
    });

    test('with a file of targets: each has its own mailbox', async () => {
      const targets = folder.file('targets.txt', `${HOME}\n`);
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2019', '--targets', targets)).toContain(
        '--mailbox-server and --targets contradict each other',
      );
    });
  });

  describe('with a mailbox that was named, is looked up for', () => {
    const named = (user: string): readonly string[] => [
      ...ONE,
      ...['-MailboxCredential', user, '--password-file', folder.file('its-password', machine.password())],
    ];
    const forms: readonly (readonly [string, () => string])[] = [
      ['user', () => account().name],
      ['user@domain', () => account().user],
      ['DOMAIN\\user', () => `EXAMPLE\\${account().name}`],
      ['(Get-Credential DOMAIN\\user)', () => `(Get-Credential EXAMPLE\\${account().name})`],
    ];

    test.each(forms)('%s', async (_, user) => {
      const argv = ['--format', 'ndjson', ...named(user())];
      const { stdout, code } = await machine.cmdlet('-MailboxServer', 'EX2019', ...argv);
      expect(JSON.parse(stdout)).toMatchObject({
        casServer: 'ex2010.example.test',
        mailboxServer: HOME,
        result: 'Success',
      });
      expect(code).toBe(0);
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2013', ...named(user()))).toContain(
        'is at home on EX2019',
      );
    });

    test('whoever is in a file', async () => {
      const file = folder.file('credential-of-one', `${account().user}\n${machine.password()}\n`);
      const argv = [...ONE, '-MailboxCredential', `@${file}`];
      expect((await machine.cmdlet('-MailboxServer', 'EX2019', ...argv)).code).toBe(0);
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2013', ...argv)).toContain('is at home on EX2019');
    });

    test.each(['nobody', 'nobody@example.test', 'EXAMPLE\\nobody', 'extest_*', '*', ')(cn=*', '*@example.test'])(
      'nobody the directory does not know: %s',
      async (user) => {
        expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2019', ...named(user))).toContain(
          `test-account-missing in directory, -MailboxServer: the directory knows nobody called ${user.replace(/^EXAMPLE\\/, 'EXAMPLE\\')}`,
        );
      },
    );

    test('nobody who has no mailbox', async () => {
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2019', ...named('pop3-probe'))).toContain(
        'no server is known to be the home of the mailbox of pop3-probe@example.test',
      );
    });

    test('and without it nothing is told of Mailbox servers', async () => {
      const { stdout, code } = await machine.cmdlet('--format', 'json', ...named(account().user));
      expect(JSON.parse(stdout)).toMatchObject([{ casServer: 'ex2010.example.test', mailboxServer: null }]);
      expect(code).toBe(0);
    });
  });

  describe('left out', () => {
    test('has each front end tested with its home, and says of which Mailbox servers there is no account', async () => {
      const { stdout, code } = await machine.cmdlet('--format', 'json');
      const rows: readonly Row[] = JSON.parse(stdout);
      const short = ({ casServer, mailboxServer, result }: Row) => `${casServer} ${mailboxServer} ${result}`;
      expect(rows.map(short).sort()).toEqual(
        [
          ...ABLE.map((name) => `${name}.example.test ${HOME} Success`),
          // Behind what is no front end there is none.
          ...UNABLE.map((name) => `${name}.example.test null Skipped`),
          ...['ex2010', 'ex2013'].map((name) => ` ${name}.example.test Skipped`),
        ].sort(),
      );
      for (const server of ['EX2010', 'EX2013']) {
        expect(rows.find(({ error }) => error?.message.includes(`Mailbox server ${server}`))?.error).toMatchObject({
          reason: 'test-account-missing',
          message: `no test account is at home on the Mailbox server ${server}`,
        });
      }
      expect(code).toBe(1);
    });

    test('is no trouble to a platform: it is told of front ends alone', async () => {
      const { stdout, code } = await machine.check();
      expect(stdout).toMatch(/^POP3 OK - 6 servers, 6 ok \|/);
      expect(stdout).not.toContain('Mailbox server');
      expect(code).toBe(0);
    });

    test('has no pairs of another site than the one that is tested', async () => {
      const other = newMachine();
      const { stdout } = await other.cmdlet('-ResetTestAccountCredentials', '--site', 'Site-B');
      expect(rowsOf(stdout)).toEqual(['dc01 Success', 'exse Success']);
      expect(other.kept(samba().siteGuids['Site-B'])?.userName).toBe(samba().testAccounts['Site-B'].user);
      expect(other.kept()).toBe(null);
    });
  });

  // These change where the mailbox is at home, and so they are last.
  describe('goes by', () => {
    const at = (server: string) => machine.cmdlet(...ONE, '-MailboxServer', server);

    test('the server that has the database, for that moves; what was noted of a server is old', async () => {
      await change('homeMDB', `CN=DB03,CN=Databases,${ORGANISATION}`);
      expect((await attributes(account().dn)).msExchHomeServerName).toEqual([`${LEGACY}/cn=EX2019`]);
      const { stdout, code } = await machine.cmdlet(...ONE, '-MailboxServer', 'EX2013', '--format', 'ndjson');
      expect(JSON.parse(stdout)).toMatchObject({ mailboxServer: 'ex2013.example.test', result: 'Success' });
      expect(code).toBe(0);
      expect(await refused(machine.cmdlet, '-MailboxServer', 'EX2019')).toContain('is at home on EX2013');
      const { stdout: all } = await machine.cmdlet();
      expect(all).toContain('no test account is at home on the Mailbox server EX2019');
      expect(all).not.toContain('no test account is at home on the Mailbox server EX2013');
    });

    test('the database itself: when that moves, so does the home', async () => {
      const database = `dn: CN=DB03,CN=Databases,${ORGANISATION}\nchangetype: modify\nreplace: msExchOwningServer\n`;
      await samba().modify(`${database}msExchOwningServer: CN=EX2010,${SERVERS}\n`);
      expect((await at('EX2010')).code).toBe(0);
      await samba().modify(`${database}msExchOwningServer: CN=EX2013,${SERVERS}\n`);
      expect((await at('EX2013')).code).toBe(0);
    });

    test('what was noted, where there is no database', async () => {
      await change('homeMDB');
      expect((await at('EX2019')).code).toBe(0);
      expect(await refused(at, 'EX2013')).toContain('is at home on EX2019');
    });

    test('neither, where there is none: that is said, and without it the front ends are tested', async () => {
      await change('msExchHomeServerName');
      expect(await refused(at, 'EX2019')).toContain(
        `-MailboxServer EX2019: no server is known to be the home of the mailbox of ${account().user}`,
      );
      const { stdout, code } = await machine.cmdlet(...ONE, '--format', 'json');
      expect(JSON.parse(stdout)).toMatchObject([
        { casServer: 'ex2010.example.test', mailboxServer: null, result: 'Success' },
      ]);
      expect(code).toBe(0);
      // A server that is noted and is none of this organisation is no home either.
      await change('msExchHomeServerName', `${LEGACY}/cn=EX1999`);
      expect(await refused(at, 'EX2019')).toContain('no server is known to be the home');
    });
  });
});

interface Row {
  readonly casServer: string;
  readonly mailboxServer: string | null;
  readonly result: string;
  readonly error: { readonly reason: string; readonly message: string } | null;
}
