import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { withDomain } from '../../support/ad-scene.ts';
import { missing } from '../../support/installed.ts';
import { readTable } from '../../support/read-table.ts';
import { CONFIGURATION_DN, SAMBA } from '../../support/samba.ts';

const EXCHANGE = `CN=Microsoft Exchange,CN=Services,${CONFIGURATION_DN}`;
const GROUP = 'Exchange Administrative Group (FYDIBOHF23SPDLT)';
const SERVERS = `CN=Servers,CN=${GROUP},CN=Administrative Groups,CN=First Organization,${EXCHANGE}`;
const LEGACY = `/o=First Organization/ou=${GROUP}/cn=Configuration/cn=Servers`;

/** Those of Site-A that have POP3, and those that have not. */
const ABLE = ['ex2010', 'ex2013', 'ex2013cas', 'ex2019'];
const WITHOUT = { edge: 'an Edge Transport server has no POP3', um2010: 'it has no Client Access role' };

describe.skipIf(missing(SAMBA, AD_DOVECOT))('an Exchange organisation in a real Active Directory', () => {
  const { samba, dovecot, folder, directory, reader, mailbox, check, sweep, cmdlet } = withDomain();
  let guid: string;
  beforeAll(async () => {
    const [found] = await samba().search(SERVERS, 'one', '(cn=EX2019)', ['objectGUID']);
    guid = found?.objectGUID?.[0] as string;
    expect(guid).toMatch(/^[0-9a-f-]{36}$/);
  });
  const visits = (): Readonly<Record<string, number>> =>
    Object.fromEntries([...ABLE, 'exse'].map((name) => [name, dovecot().visits(`${name}.example.test`)]));
  /** Whom somebody has called at meanwhile. */
  const called = (before: Readonly<Record<string, number>>): readonly string[] =>
    Object.entries(visits()).flatMap(([name, count]) => (count > (before[name] ?? 0) ? [name] : []));

  describe('finds a server by its', () => {
    const forms: readonly (readonly [string, () => string])[] = [
      ['name', () => 'EX2019'],
      ['host name', () => 'ex2019.example.test'],
      ['distinguished name', () => `CN=EX2019,${SERVERS}`],
      ['distinguished name with blanks', () => `CN = EX2019, ${SERVERS.replaceAll(',', ' , ')}`],
      ['ExchangeLegacyDN', () => `${LEGACY}/cn=EX2019`],
      ['GUID', () => guid],
      ['GUID in braces', () => `{${guid}}`],
    ];

    test.each(forms)('%s, in any case', async (_, given) => {
      for (const form of [given(), given().toUpperCase(), given().toLowerCase()]) {
        const before = visits();
        const { line, code } = await check('-H', form, ...directory(), ...mailbox());
        expect(line, form).toMatch(/^POP3 OK - ex2019\.example\.test: logon /);
        expect(code).toBe(0);
        expect(called(before)).toEqual(['ex2019']);
      }
    });

    test('name at another site too, and several at once', async () => {
      const before = visits();
      const { stdout, code } = await sweep('-H', 'EX2010,exse.example.test', '-H', guid, ...directory(), ...mailbox());
      expect(stdout).toMatch(/^POP3 OK - 3 servers, 3 ok \|/);
      expect(called(before)).toEqual(['ex2010', 'ex2019', 'exse']);
      expect(code).toBe(0);
    });

    test('name when the domain controller is found in DNS', async () => {
      const { line, code } = await check(
        '-H',
        'EX2019',
        '--directory-domain',
        'example.test',
        ...reader(),
        ...mailbox(),
      );
      expect(line).toMatch(/^POP3 OK - ex2019\.example\.test: logon /);
      expect(code).toBe(0);
    });
  });

  test('lists its servers for somebody who has no mailbox yet', async () => {
    const { stdout, code } = await cmdlet('--discover', 'targets', ...directory(), '--local-site', 'Site-A');
    for (const name of ABLE) expect(stdout).toContain(`{"client-access-server":"${name}.example.test"`);
    expect(stdout.trim().split('\n')).toHaveLength(ABLE.length);
    expect(code).toBe(0);
  });

  test('lists the servers of another site as of that one', async () => {
    const { stdout } = await cmdlet(
      '--discover',
      'zabbix',
      ...directory(),
      '--local-site',
      'Site-A',
      '--site',
      'Site-B',
    );
    expect(JSON.parse(stdout)).toMatchObject([{ '{#SERVER}': 'exse.example.test', '{#SITE}': 'Site-B' }]);
  });

  test('has a row for a server that has nothing to be tested, also where no other was asked for', async () => {
    const { stdout, code } = await cmdlet('-H', 'EDGE', ...directory(), ...mailbox());
    expect(stdout).toMatch(/^edge +\S* +Test POP3 Connectivity Skipped +/m);
    expect(stdout).toContain('an Edge Transport server has no POP3');
    expect(code).toBe(1);
    const plugin = await sweep('-H', 'EDGE', ...directory(), ...mailbox());
    expect(plugin.stdout).toMatch(/^POP3 UNKNOWN - 1 server, 1 unknown\n\[UNKNOWN\] edge\.example\.test: skipped: /);
    expect(plugin.code).toBe(3);
  });

  describe('finds nothing', () => {
    test('under a name nobody has, and tells who is called alike', async () => {
      const { line, code } = await check('-H', 'EX2011', ...directory(), ...mailbox());
      expect(line).toMatch(
        /^POP3 UNKNOWN - configuration, .*EX2011 is no server of the Exchange organisation; there is EX2010, /,
      );
      expect(code).toBe(3);
    });

    test.each([
      ...['*', 'EX2019*', '*)(cn=*', 'EX2019)(objectClass=*', '(|(cn=*)(cn=*))', String.raw`EX201\39`, 'EX2019\\'],
      ...[`CN=*,${SERVERS}`, `CN=EX2019)(cn=*,${SERVERS}`, `${LEGACY}/cn=*`, `${LEGACY}/cn=EX2019)(cn=*`, '{*}'],
    ])('under %s, for it is a name and not a filter', async (given) => {
      const before = visits();
      const { line, code } = await check('-H', given, ...directory(), ...mailbox());
      expect(line).toContain('is no server of the Exchange organisation');
      expect(code).toBe(3);
      expect(called(before)).toEqual([]);
    });
  });

  describe('without -ClientAccessServer', () => {
    test('has every server of the site tested, and those without the role are no trouble to a platform', async () => {
      const before = visits();
      const { stdout, code } = await sweep(...directory(), ...mailbox());
      expect(code).toBe(0);
      const [first = '', ...lines] = stdout.trimEnd().split('\n');
      expect(first).toMatch(/^POP3 OK - 6 servers, 6 ok \|/);
      for (const name of ABLE) {
        expect(first).toContain(`'${name}.example.test::time'=`);
        expect(lines.filter((line) => line.startsWith(`[OK] ${name}.example.test: logon `))).toHaveLength(1);
      }
      for (const [name, why] of Object.entries(WITHOUT)) {
        const [line] = lines.filter((each) => each.startsWith(`[OK] ${name}.example.test: `));
        expect(line).toContain('skipped');
        expect(line).toContain(why);
        expect(first).not.toContain(`${name}.example.test::`);
      }
      expect(lines).toHaveLength(6);
      expect(called(before)).toEqual(ABLE);
    });

    test('tells people of each with its site, and exits as documented where some were skipped', async () => {
      const { stdout, code } = await cmdlet(...directory(), ...mailbox());
      expect(code).toBe(1);
      const rows = readTable(stdout);
      expect(rows.map(({ CasServer, LocalSite, Result }) => `${CasServer} ${LocalSite} ${Result}`)).toEqual([
        'edge Site-A Skipped',
        ...ABLE.map((name) => `${name} Site-A Success`),
        'um2010 Site-A Skipped',
      ]);
      for (const [name, why] of Object.entries(WITHOUT)) {
        expect(rows.find(({ CasServer }) => CasServer === name)?.Error).toContain(why);
      }
    });

    test('is UNKNOWN where only servers without the role were named: nobody knows whether anything works', async () => {
      const { stdout, code } = await sweep('-H', 'EDGE,UM2010', ...directory(), ...mailbox());
      expect(code).toBe(3);
      expect(stdout).toMatch(/^POP3 UNKNOWN - /);
      expect(stdout).toContain(WITHOUT.edge);
    });

    test.each([
      [['--site', 'Site-B'], ['exse']],
      [['--local-site', 'Site-B'], ['exse']],
      [['--local-site', 'site-b', '--site', 'SITE-A'], ABLE],
    ])('has the servers of another site tested by %j', async (argv, names) => {
      const before = visits();
      const { code } = await sweep(...argv, ...directory(), ...mailbox());
      expect(code).toBe(0);
      expect(called(before)).toEqual(names);
    });

    test('takes the servers from a file, and the site from the directory', async () => {
      const targets = folder.file('targets.txt', 'ex2010.example.test\nexse.example.test\n');
      const { stdout, code } = await cmdlet('--targets', targets, ...directory(), ...mailbox());
      expect(readTable(stdout).map(({ CasServer, LocalSite }) => [CasServer, LocalSite])).toEqual([
        ['ex2010', 'Site-A'],
        ['exse', 'Site-A'],
      ]);
      expect(code).toBe(0);
    });
  });

  describe('LocalSite is', () => {
    const one = (format: string) => cmdlet('-H', 'EX2010', '--format', format, ...directory(), ...mailbox());

    test('in the table, the list, CSV and JSON', async () => {
      expect(readTable((await one('table')).stdout)[0]?.LocalSite).toBe('Site-A');
      expect((await one('list')).stdout).toMatch(/^LocalSite *: Site-A$/m);
      const [names = '', values = ''] = (await one('csv')).stdout.split('\n');
      expect(values.split(',')[names.split(',').indexOf('LocalSite')]?.replaceAll('"', '')).toBe('Site-A');
      const json = JSON.parse((await one('json')).stdout);
      expect((Array.isArray(json) ? json[0] : json).localSite).toBe('Site-A');
      expect(JSON.parse((await one('ndjson')).stdout).localSite).toBe('Site-A');
    });

    test('our own while another site is tested', async () => {
      const { stdout } = await cmdlet('--site', 'Site-B', ...directory(), ...mailbox());
      expect(readTable(stdout).map(({ CasServer, LocalSite }) => [CasServer, LocalSite])).toEqual([['exse', 'Site-A']]);
    });

    test('in the monitoring context, in the name of the counter', async () => {
      const { stdout } = await cmdlet(
        '-H',
        'EX2010',
        '--monitoring-context',
        '--format',
        'json',
        ...directory(),
        ...mailbox(),
      );
      expect(stdout).toContain('"ex2010.example.test|Site-A"');
    });
  });

  describe('says why no Client Access servers were tested:', () => {
    test.each([
      ['Site-C', 'no Exchange server is in the site Site-C; there are some in Site-A, Site-B'],
      ['Site-D', 'of 1 Exchange servers in the site Site-D none has POP3 for clients'],
    ])('in %s', async (site, why) => {
      if (site === 'Site-D') await samba().modify(EDGE_ALONE);
      const { line, code } = await check('--site', site, ...directory(), ...mailbox());
      expect(line).toMatch(/^POP3 UNKNOWN - configuration in directory, No Client Access servers were tested: /);
      expect(line).toContain(why);
      expect(code).toBe(3);
      const told = await cmdlet('--site', site, ...directory(), ...mailbox());
      expect(told.stdout + told.stderr).toContain(`No Client Access servers were tested: ${why}`);
      expect(told.code).toBe(3);
    });
  });

  // These change what the others rely on, and so they are last.
  test('one server that is down does not keep the others from being tested', async () => {
    await dovecot().close('ex2013.example.test');
    const { stdout, code } = await sweep(...directory(), ...mailbox());
    expect(code).toBe(2);
    expect(stdout).toMatch(/^POP3 CRITICAL - 6 servers, 1 critical, 5 ok \|/);
    expect(stdout).toMatch(/^\[CRITICAL\] ex2013\.example\.test: connection-refused, /m);
    expect((await cmdlet(...directory(), ...mailbox())).code).toBe(2);
  });

  test('two servers of one name are refused with what tells them apart, and each is found by that', async () => {
    await samba().modify(readFileSync(new URL('../../support/ad/ambiguous.ldif', import.meta.url), 'utf8'));
    const { line, code } = await check('-H', 'EX2019', ...directory(), ...mailbox());
    expect(line).toMatch(/^POP3 UNKNOWN - configuration, .*EX2019 is more than one: CN=EX2019,CN=Servers,CN=/);
    expect(code).toBe(3);
    for (const own of [guid, `CN=EX2019,${SERVERS}`, `${LEGACY}/cn=EX2019`, 'ex2019.example.test']) {
      expect((await check('-H', own, ...directory(), ...mailbox())).line, own).toMatch(
        /^POP3 OK - ex2019\.example\.test:/,
      );
    }
  });
});

const EDGE_ALONE = `dn: CN=Site-D,CN=Sites,${CONFIGURATION_DN}
changetype: add
objectClass: site

dn: CN=EDGE2,${SERVERS}
changetype: add
objectClass: msExchExchangeServer
networkAddress: ncacn_ip_tcp:edge2.example.test
versionNumber: 1942127710
msExchCurrentServerRoles: 64
msExchServerSite: CN=Site-D,CN=Sites,${CONFIGURATION_DN}
`;
