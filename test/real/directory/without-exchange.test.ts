import { beforeAll, describe, expect, test } from 'vitest';
import { type Machine, withTestAccounts } from '../../support/account-scene.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { missing } from '../../support/installed.ts';
import { openLdapDoor } from '../../support/ldap-doors.ts';
import { readTable } from '../../support/read-table.ts';
import { CONFIGURATION_DN, SAMBA } from '../../support/samba.ts';

const EXCHANGE = `CN=Microsoft Exchange,CN=Services,${CONFIGURATION_DN}`;
const NO_EXCHANGE = 'directory-refused in directory, there is no Exchange organisation in this directory';

/** What Exchange adds to the schema, as far as it holds an account small and hidden. */
const OF_EXCHANGE = [
  ...['msExchHideFromAddressLists', 'delivContLength', 'submissionContLength', 'mDBUseDefaults', 'mDBOverQuotaLimit'],
  'mDBOverHardQuotaLimit',
];
/** Under these names the schema has nothing, and would refuse them in an account. */
const unknown = (asked: Buffer): Buffer =>
  OF_EXCHANGE.reduce(
    (octets, name) => Buffer.from(octets.toString('latin1').replaceAll(name, `${name.slice(0, -1)}z`), 'latin1'),
    asked,
  );

describe.skipIf(missing(SAMBA, AD_DOVECOT))('a directory without Exchange', () => {
  const { samba, account, newMachine, settledMachine, attributes, letsIn } = withTestAccounts();
  const rowsOf = (stdout: string) =>
    readTable(stdout).map(({ CasServer, Scenario, Result }) => `${CasServer} ${Scenario} ${Result}`);
  const addSite = async (name: string) => {
    const dn = `CN=${name},CN=Sites,${CONFIGURATION_DN}`;
    await samba().modify(`dn: ${dn}\nchangetype: add\nobjectClass: site\n`);
    const guid = (await attributes(dn)).objectGUID?.[0] as string;
    return { guid, account: `extest_${guid.replaceAll('-', '').slice(0, 13)}` };
  };
  const make = (machine: Machine, site: string) =>
    machine.cmdlet('--new-test-user', '--local-site', site, '--ou', samba().testOu);
  beforeAll(async () => {
    const found = await samba().search(EXCHANGE, 'sub', '(objectClass=*)', ['cn']);
    const dns = found.flatMap(({ dn = [] }) => dn).sort((a, b) => b.split(',').length - a.split(',').length);
    await samba().modify(dns.map((dn) => `dn: ${dn}\nchangetype: delete\n`).join('\n'));
  });

  test('has an account made that needs nothing more: no line is printed for Exchange', async () => {
    const machine = newMachine();
    const site = await addSite('Site-C');
    const { stdout, stderr, code } = await make(machine, 'Site-C');
    expect(rowsOf(stdout)).toEqual(['dc01 New Test User Success']);
    expect(stdout).not.toMatch(/Enable-Mailbox|NOTE|Exchange/);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const after = await machine.cmdlet('--local-site', 'Site-C', '-ClientAccessServer', 'ex2019.example.test');
    expect(rowsOf(after.stdout)).toEqual(['ex2019 Test POP3 Connectivity Success']);
    expect(readTable(after.stdout)[0]?.LocalSite).toBe('Site-C');
    expect(after.code).toBe(0);
    expect(machine.kept(site.guid)?.userName).toBe(`${site.account}@example.test`);
  });

  test('whose schema knows nothing of Exchange has it made all the same, without what that would need', async () => {
    const { guid, account: name } = await addSite('Site-D');
    const identity = await samba().authority.issue({ names: [samba().fqdn] });
    const at = samba().address;
    const door = await openLdapDoor({ identity, to: at, address: at, change: unknown });
    try {
      const machine = newMachine();
      const through = ['--domain-controller', samba().fqdn, '--directory-port', String(door.port)];
      const { stdout, code } = await make(machine.with({ controller: through }), 'Site-D');
      expect(rowsOf(stdout), stdout).toEqual(['dc01 New Test User Success']);
      expect(code).toBe(0);
      const made = await attributes(`CN=${name},${samba().testOu}`);
      for (const attribute of OF_EXCHANGE) expect(Object.keys(made)).not.toContain(attribute);
      expect(await letsIn(`${name}@example.test`, machine.kept(guid)?.current?.password as string)).toBe(true);
    } finally {
      await door.close();
    }
  });

  test('has the test account of the site reset, and logs on with it at every host that is named', async () => {
    const machine = await settledMachine(['-ClientAccessServer', 'ex2019.example.test']);
    const { stdout, code } = await machine.cmdlet('-ClientAccessServer', 'ex2010.example.test,ex2013cas.example.test');
    expect(rowsOf(stdout)).toEqual([
      'ex2010 Test POP3 Connectivity Success',
      'ex2013cas Test POP3 Connectivity Success',
    ]);
    expect(code).toBe(0);
    const { line, code: well } = await machine.check('-H', 'ex2019.example.test');
    expect(line).toMatch(/^POP3 OK - ex2019\.example\.test: logon /);
    expect(well).toBe(0);
    expect(await letsIn(account().user, machine.password())).toBe(true);
  });

  test.each([
    ['a bare name', ['-ClientAccessServer', 'EX2019']],
    ['a bare name beside a host name', ['-ClientAccessServer', 'ex2019.example.test,EX2019']],
    ['a distinguished name', ['-ClientAccessServer', `CN=EX2019,CN=Servers,${EXCHANGE}`]],
    ['nobody', []],
  ])('has no server for %s', async (_, argv) => {
    const machine = newMachine();
    const { stdout, code } = await machine.cmdlet(...argv);
    expect(stdout).toMatch(/^ERROR: [^\n]+\n$/);
    expect(stdout).toContain(NO_EXCHANGE);
    expect(code).toBe(3);
  });

  test('has no Mailbox server either', async () => {
    const argv = ['-ClientAccessServer', 'ex2019.example.test', '-MailboxServer', 'EX2019'];
    const machine = await settledMachine(['-ClientAccessServer', 'ex2019.example.test']);
    const { stdout, code } = await machine.cmdlet(...argv);
    expect(stdout).toContain(NO_EXCHANGE);
    expect(code).toBe(3);
    const made = await newMachine().cmdlet('--new-test-user', '--ou', samba().testOu, '-MailboxServer', 'EX2019');
    expect(made.stdout).toContain(NO_EXCHANGE);
    expect(made.code).toBe(3);
  });
});
