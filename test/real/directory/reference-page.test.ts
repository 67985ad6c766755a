import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSmtpServer } from '../../../src/sandbox/smtp.ts';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { CONFIGURATION_DN, DOMAIN_DN, SAMBA } from '../../support/samba.ts';

const GROUP = `CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=First Organization,CN=Microsoft Exchange,CN=Services,${CONFIGURATION_DN}`;

/** Of the machine ex2019 the directory knows it as, and its database is that server's. */
const CONTOSO12 = `dn: CN=Contoso12,CN=Servers,${GROUP}
changetype: add
objectClass: msExchExchangeServer
networkAddress: ncacn_ip_tcp:ex2019.example.test
versionNumber: 1942127710
msExchCurrentServerRoles: 54
msExchServerSite: CN=Site-A,CN=Sites,${CONFIGURATION_DN}

dn: CN=DB01,CN=Databases,${GROUP}
changetype: modify
replace: msExchOwningServer
msExchOwningServer: CN=Contoso12,CN=Servers,${GROUP}

dn: CN=EX2019,CN=Servers,${GROUP}
changetype: delete
`;

/** The six servers of Site-A by name, with the host name of each; and why some are not tested. */
const FRONT_ENDS = { EX2010: 'ex2010', EX2013: 'ex2013', EX2013CAS: 'ex2013cas', Contoso12: 'ex2019' };
const OTHERS = {
  EDGE: ['edge', 'an Edge Transport server has no POP3'],
  UM2010: ['um2010', 'it has no Client Access role'],
} as const;
const KWEKU = { name: 'kweku', password: 'Garden-Gate-6', mail: 'kweku@example.test' };

/** The documentation of the cmdlet, its two examples, as they are written there: with the full test. */
describe.skipIf(missing(SAMBA, AD_DOVECOT))('Test-PopConnectivity as its reference page has it', () => {
  const { samba, dovecot, folder, account, settledMachine } = withTestAccounts();
  let machine: Machine;
  const open: { close(): void }[] = [];

  beforeAll(async () => {
    const { name, password, mail } = KWEKU;
    await samba().modify(
      [
        CONTOSO12,
        `dn: CN=${name},CN=Users,${DOMAIN_DN}\nchangetype: add\nobjectClass: user\nsAMAccountName: ${name}\nmail: ${mail}\n` +
          `userPrincipalName: ${mail}\nuserAccountControl: 512\n` +
          `unicodePwd:: ${Buffer.from(`"${password}"`, 'utf16le').toString('base64')}\n`,
      ].join('\n'),
    );
    machine = (await settledMachine(['-ClientAccessServer', 'Contoso12', '-MailboxServer', 'Contoso12'])).with({
      test: ['--ca-file', samba().caFile],
    });
  });
  afterAll(() => {
    for (const each of open) each.close();
  });

  /** Lets every front end take messages of a user. */
  async function takesMail(user: string, password: string, address: string, name: string): Promise<void> {
    for (const each of open.splice(0)) each.close();
    for (const host of Object.values(FRONT_ENDS)) {
      const fqdn = `${host}.example.test`;
      const { server, closeAllConnections } = createSmtpServer({
        ...{ user, password, address, identity: await samba().authority.issue({ names: [fqdn] }) },
        maildrop: { deliver: (message: Uint8Array) => void dovecot().deliver(message, name) } as never,
      });
      await new Promise<void>((resolve) => {
        server.listen(587, dovecot().addresses[fqdn], resolve);
      });
      open.push({
        close() {
          closeAllConnections();
          server.close();
        },
      });
    }
  }

  test.each(['(Get-Credential contoso\\kweku)', 'contoso\\kweku'])(
    'example 1 tests the server named Contoso12 with the credentials of a user: %s',
    async (credential) => {
      await takesMail('contoso\\kweku', KWEKU.password, KWEKU.mail, KWEKU.name);
      const password = folder.file('password of kweku', KWEKU.password);
      const { stdout, code } = await machine.cmdlet(
        ...['-ClientAccessServer', 'Contoso12', '-MailboxCredential', credential],
        ...['--password-file', password, '--mail-to', KWEKU.mail, '--format', 'json'],
      );
      expect(JSON.parse(stdout)).toMatchObject([
        {
          ...{ casServer: 'ex2019.example.test', localSite: 'Site-A', scenario: 'Test POP3 Connectivity' },
          ...{ result: 'Success', userName: 'contoso\\kweku', warnings: [] },
          roundTrip: { retrieved: true, deleted: true, verified: true },
        },
      ]);
      expect(code).toBe(0);
      expect(await dovecot().messages(KWEKU.name)).toBe(0);
    },
  );

  describe('example 2 tests a server with all mailboxes there is a test account for:', () => {
    beforeAll(() => takesMail(account().user, machine.password(), account().user, account().name));

    test.each(Object.entries(FRONT_ENDS))('%s', async (name, host) => {
      const { stdout, code } = await machine.cmdlet('-ClientAccessServer', name);
      const [tested, ...pairs] = readTable(stdout);
      expect(tested).toMatchObject({
        ...{ CasServer: host, LocalSite: 'Site-A', Scenario: 'Test POP3 Connectivity', Result: 'Success', Error: '' },
        'Latency(MS)': expect.stringMatching(/^\d+\.\d\d$/),
      });
      // Two Mailbox servers of the site have none.
      expect(pairs.map(({ CasServer, Result }) => `${CasServer}${Result}`)).toEqual(['Skipped', 'Skipped']);
      expect(code).toBe(1);
      const alone = await machine.cmdlet(
        '-ClientAccessServer',
        name,
        '-MailboxServer',
        'Contoso12',
        '--format',
        'json',
      );
      expect(JSON.parse(alone.stdout)).toMatchObject([
        { result: 'Success', mailboxServer: 'ex2019.example.test', warnings: [], roundTrip: { verified: true } },
      ]);
      expect(alone.code).toBe(0);
      expect(await dovecot().messages(account().name)).toBe(0);
    });

    test.each(Object.entries(OTHERS))('%s is Skipped with the reason', async (name, [host, why]) => {
      const { stdout, code } = await machine.cmdlet('-ClientAccessServer', name);
      const [row] = readTable(stdout).filter(({ CasServer }) => CasServer === host);
      expect(row).toMatchObject({ LocalSite: 'Site-A', Scenario: 'Test POP3 Connectivity', Result: 'Skipped' });
      expect(row?.Error).toContain(why);
      expect(code).toBe(1);
    });

    test('all six, with commas between them', async () => {
      const all = [...Object.keys(FRONT_ENDS), ...Object.keys(OTHERS)].join(', ');
      const { stdout, code } = await machine.cmdlet('-ClientAccessServer', all, '-MailboxServer', 'Contoso12');
      expect(readTable(stdout).map(({ CasServer, Result }) => `${CasServer} ${Result}`)).toEqual([
        'edge Skipped',
        ...['ex2010', 'ex2013', 'ex2013cas', 'ex2019'].map((host) => `${host} Success`),
        'um2010 Skipped',
      ]);
      expect(code).toBe(1);
      expect(await dovecot().messages(account().name)).toBe(0);
    });

    test('and without any name those of the site', async () => {
      const { stdout, code } = await machine.cmdlet('-MailboxServer', 'Contoso12');
      expect(readTable(stdout).map(({ CasServer, Result }) => `${CasServer} ${Result}`)).toEqual([
        'edge Skipped',
        ...['ex2010', 'ex2013', 'ex2013cas', 'ex2019'].map((host) => `${host} Success`),
        'um2010 Skipped',
      ]);
      expect(code).toBe(1);
    });
  });
});
