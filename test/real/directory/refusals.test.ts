import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { withDomain } from '../../support/ad-scene.ts';
import { FAKETIME } from '../../support/icinga-cluster.ts';
import { missing, pathOf } from '../../support/installed.ts';
import type { OwnServer } from '../../support/own-server.ts';
import { CHECK_POP3, launch } from '../../support/run.ts';
import { type Account, CONFIGURATION_DN, DOMAIN_DN, SAMBA, type Samba, startSamba } from '../../support/samba.ts';
import { SLAPD, startSlapd } from '../../support/slapd.ts';

const SERVICES = `CN=Services,${CONFIGURATION_DN}`;
const EXCHANGE = `CN=Microsoft Exchange,${SERVICES}`;
const SERVERS = `CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=First Organization,${EXCHANGE}`;
const PASSWORD = 'Window-Pane-6';

const account = (name: string): Account => ({
  ...{ user: `${name}@example.test`, name, dn: `CN=${name},CN=Users,${DOMAIN_DN}`, password: PASSWORD },
});

/** An ordinary account, and what is different about it. */
const userOf = ({ name, user, dn }: Account, more: readonly string[]): string =>
  [
    ...[`dn: ${dn}`, 'changetype: add', 'objectClass: user', `sAMAccountName: ${name}`, `userPrincipalName: ${user}`],
    `unicodePwd:: ${Buffer.from(`"${PASSWORD}"`, 'utf16le').toString('base64')}`,
    ...more,
    '',
  ].join('\n');

describe.skipIf(missing(SAMBA, AD_DOVECOT))('a real domain controller', () => {
  const { samba, folder, directory, reader, mailbox, check, sweep, cmdlet } = withDomain();
  const dc = (): readonly string[] => ['--domain-controller', samba().fqdn];
  const refused = async (...argv: readonly string[]): Promise<string> => {
    const { line, code } = await check('-H', 'EX2010', ...argv, ...mailbox());
    expect(code).toBe(3);
    return line;
  };
  const REFUSED = 'POP3 UNKNOWN - directory-refused in directory, dc01.example.test port 636: ';

  describe('lets in', () => {
    test.each([
      ['by LDAPS', []],
      ['by StartTLS', ['--directory-connection-type', 'tls']],
      ['by another port', ['--directory-port', '3269']],
    ])('whoever has the right password, %s', async (_, argv) => {
      const { line, code } = await check('-H', 'EX2010', ...argv, ...directory(), ...mailbox());
      expect(line).toMatch(/^POP3 OK - ex2010\.example\.test: logon /);
      expect(code).toBe(0);
    });

    test('by its distinguished name, or as people in the domain write it', async () => {
      for (const user of [samba().probe.dn, 'EXAMPLE\\pop3-probe']) {
        const { line } = await check('-H', 'EX2010', ...dc(), ...reader({ ...samba().probe, user }), ...mailbox());
        expect(line, user).toMatch(/^POP3 OK - /);
      }
    });
  });

  describe('refuses, and it is told why:', () => {
    const disabled = account('disabled');
    const expired = account('expired');
    const early = account('early');
    const locked = account('locked');
    beforeAll(async () => {
      const users = [
        userOf(disabled, ['userAccountControl: 514']),
        userOf(expired, ['userAccountControl: 512', 'accountExpires: 131000000000000000']),
        userOf(early, ['userAccountControl: 512', 'pwdLastSet: 0']),
        userOf(locked, ['userAccountControl: 512']),
      ];
      await samba().modify(users.join('\n'));
      // Two wrong passwords, and the account is locked.
      await samba().modify(
        `dn: ${DOMAIN_DN}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 2\n-\nreplace: lockoutDuration\nlockoutDuration: -18000000000\n-\nreplace: lockOutObservationWindow\nlockOutObservationWindow: -18000000000\n`,
      );
      for (let attempt = 0; attempt < 3; attempt++) await refused(...dc(), ...reader({ ...locked, password: 'wrong' }));
    });
    afterAll(() =>
      samba().modify(`dn: ${DOMAIN_DN}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 0\n`),
    );

    test.each<[string, () => Account, string]>([
      [
        'a wrong password',
        () => ({ ...samba().operator, password: 'Wrong-Horse-1' }),
        'the user name or the password is wrong',
      ],
      ['nobody of that name', () => account('nobody'), 'the user name or the password is wrong'],
      ['an account that is disabled', () => disabled, 'the account is disabled'],
      ['an account that has expired', () => expired, 'the account has expired'],
      ['a password to be changed at the first logon', () => early, 'the password has to be changed first'],
      ['an account that is locked', () => locked, 'the account is locked'],
    ])('%s', async (_, who, why) => {
      const { password } = who();
      const line = await refused(...dc(), ...reader(who()));
      expect(line).toBe(`${REFUSED}${why} (LDAP 49) - check the account that reads the directory`);
      expect(line).not.toContain(password);
    });

    test('whoever gives no name', async () => {
      expect(await refused(...dc(), '--directory-ca-file', samba().caFile)).toBe(
        `${REFUSED}it answers nobody who has not logged on: give --directory-credential (LDAP 1) - check the account that reads the directory`,
      );
    });

    test('people are told the same', async () => {
      const argv = [...dc(), ...reader({ ...samba().operator, password: 'Wrong-Horse-1' }), ...mailbox()];
      const { stdout, stderr, code } = await cmdlet('-H', 'EX2010', ...argv);
      expect(stdout + stderr).toContain(
        'directory-refused in directory, dc01.example.test port 636: the user name or the password is wrong',
      );
      expect(code).toBe(3);
    });
  });

  describe('is not asked', () => {
    const strangers = async (): Promise<readonly string[]> => [
      ...reader().slice(2),
      ...['--directory-ca-file', folder.file('other-ca.pem', (await createAuthority('Other CA')).certificate)],
    ];

    test.each([[], ['--directory-connection-type', 'tls']])(
      'where nobody we trust vouches for it %s %s',
      async (...argv) => {
        const line = await refused(...argv, ...dc(), ...(await strangers()));
        expect(line).toMatch(
          /^POP3 UNKNOWN - directory-unreachable in directory, dc01\.example\.test port \d+: its certificate is not to be trusted \(/,
        );
        expect(await refused(...argv, ...dc(), ...reader().slice(2))).toContain(
          'its certificate is not to be trusted (',
        );
      },
    );

    test('where its certificate is of another name', async () => {
      await samba().publish({ 'dc99.example.test': samba().address });
      for (const name of ['dc99.example.test', samba().address]) {
        const line = await refused('--domain-controller', name, ...reader());
        expect(line, name).toContain('its certificate is not to be trusted (ERR_TLS_CERT_ALTNAME_INVALID)');
      }
    });

    test('where TLS is said to be left out by Node', async () => {
      const argv = ['-H', 'EX2010', ...dc(), ...(await strangers()), ...mailbox()];
      const [first = '', ...rest] = [...samba().inDomain, CHECK_POP3, ...argv];
      const { stdout } = await launch(first, rest, { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } });
      expect(stdout).toContain('its certificate is not to be trusted');
    });

    test.each([
      [
        'its name is not in DNS',
        ['--domain-controller', 'dc77.example.test'],
        'dc77.example.test port 636: the name is not found (ENOTFOUND)',
      ],
      [
        'the domain is not in DNS',
        ['--directory-domain', 'other.test'],
        'no domain controller of other.test: _ldap._tcp.dc._msdcs.other.test in DNS: ',
      ],
    ])('where %s', async (_, argv, why) => {
      expect(await refused(...argv, ...reader())).toContain(`directory-unreachable in directory, ${why}`);
    });
  });

  test('of more servers than a page of answers has tells of all', async () => {
    const many = Array.from({ length: 600 }, (_, at) => `BULK${String(at).padStart(4, '0')}`);
    const entries = many.map(
      (name) =>
        `dn: CN=${name},${SERVERS}\nchangetype: add\nobjectClass: msExchExchangeServer\n` +
        `networkAddress: ncacn_ip_tcp:${name.toLowerCase()}.example.test\nversionNumber: 1942127710\n` +
        `msExchCurrentServerRoles: 54\nmsExchServerSite: CN=Site-B,CN=Sites,${CONFIGURATION_DN}\n`,
    );
    await samba().modify(entries.join('\n'));
    const { stdout, code } = await cmdlet('--site', 'Site-B', '--discover', 'targets', ...directory(), ...mailbox());
    expect(code).toBe(0);
    expect(stdout.match(/^- /gm)).toHaveLength(601);
    for (const name of [many[0], many[599]]) expect(stdout).toContain(`"${name?.toLowerCase()}.example.test"`);
  });

  test.each([
    ['the servers', SERVERS, 'there is no Exchange server in this directory, or this account may not see any'],
    [
      'the configuration of services',
      SERVICES,
      'there is no Exchange organisation in this directory, or this account may not see it',
    ],
  ])('that does not let the account see %s tells of none', async (what, container, why) => {
    const hidden = account(`not ${what.length}`.replace(' ', '-'));
    await samba().modify(userOf(hidden, ['userAccountControl: 512']));
    await deny(samba(), SERVERS, hidden.dn);
    if (container !== SERVERS) await deny(samba(), container, hidden.dn);
    const told = `POP3 UNKNOWN - directory-refused in directory, ${why} - check the account that reads the directory`;
    expect(await refused(...dc(), ...reader(hidden))).toBe(told);
    expect((await check(...dc(), ...reader(hidden), ...mailbox())).line).toBe(told);
    // Others see them as before.
    expect((await sweep(...directory(), ...mailbox())).stdout).toMatch(/^POP3 OK - 6 servers, 6 ok/);
  });

  test('of a forest without Exchange says so', async () => {
    const found = await samba().search(EXCHANGE, 'sub', '(objectClass=*)', ['cn']);
    const dns = found.flatMap(({ dn = [] }) => dn).sort((a, b) => b.split(',').length - a.split(',').length);
    await samba().modify(dns.map((dn) => `dn: ${dn}\nchangetype: delete\n`).join('\n'));
    expect(await refused(...directory())).toContain('there is no Exchange organisation in this directory');
    const told = await check(...directory(), ...mailbox());
    expect(told.line).toContain('directory-refused in directory, there is no Exchange organisation in this directory');
  });
});

/** What is in a container is no longer shown to one account. */
async function deny({ folder, search }: Samba, container: string, dn: string): Promise<void> {
  const [found] = await search(dn, 'base', '(objectClass=*)', ['objectSid']);
  const octets = Buffer.from(found?.objectSid?.[0] ?? '', 'base64');
  const parts = Array.from({ length: octets.readUInt8(1) }, (_, at) => octets.readUInt32LE(8 + 4 * at));
  const sid = ['S', octets.readUInt8(0), octets.readUIntBE(2, 6), ...parts].join('-');
  const { code, stdout, stderr } = await launch(
    pathOf('samba-tool'),
    [
      ...['dsacl', 'set', `--objectdn=${container}`, `--sddl=(D;;RPLCLORC;;;${sid})`],
      `--configfile=${join(folder, 'smb.conf')}`,
    ],
    {},
  );
  if (code !== 0) throw new Error(stdout + stderr);
}

describe.skipIf(missing(SAMBA, AD_DOVECOT, FAKETIME))('a domain controller whose clock is wrong', () => {
  test.each([
    ['two hours behind', -7200],
    ['two hours ahead', 7200],
  ])('by %s lets us in all the same: there is no ticket in it', async (_, seconds) => {
    const samba = await startSamba({ clock: seconds });
    try {
      const { user, password } = samba.probe;
      const [first = '', ...rest] = [
        ...[...samba.inDomain, CHECK_POP3, '--domain-controller', samba.fqdn, '--directory-ca-file', samba.caFile],
        ...[
          '--directory-credential',
          user,
          '--directory-password-env',
          'DIRECTORY',
          '-u',
          'x',
          '--password-env',
          'DIRECTORY',
        ],
        ...['-H', 'EX2010,EX2013', '--light-mode', '--what-if'],
      ];
      const { stdout } = await launch(first, rest, { env: { DIRECTORY: password } });
      expect(stdout).toContain('ex2010.example.test');
      expect(stdout).not.toContain('directory-');
    } finally {
      await samba.stop();
    }
  });
});

describe.skipIf(missing(SLAPD))('a directory that is not Active Directory', () => {
  let slapd: OwnServer;
  let argv: readonly string[];
  beforeAll(async () => {
    const authority = await createAuthority('Example CA');
    slapd = await startSlapd({
      identity: await authority.issue({ names: ['localhost'] }),
      ...{ schema: '', suffix: 'o=Example' },
      entries:
        'dn: o=Example\nobjectClass: organization\no: Example\n\ndn: cn=probe,o=Example\n' +
        `objectClass: person\ncn: probe\nsn: probe\nuserPassword: ${PASSWORD}\n`,
    });
    argv = [
      ...[
        '--domain-controller',
        'localhost',
        '--directory-port',
        String(slapd.tlsPort),
        '-H',
        'EX2010',
        '--light-mode',
      ],
      ...['--directory-ca-file', join(slapd.folder, 'ca.pem'), '-u', 'x', '--password-env', 'DIRECTORY'],
    ];
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(slapd.folder, 'ca.pem'), authority.certificate);
  });
  afterAll(() => slapd?.stop());

  test('is refused as what it is', async () => {
    const more = ['--directory-credential', 'cn=probe,o=Example', '--directory-password-env', 'DIRECTORY'];
    const { stdout, code } = await launch(CHECK_POP3, [...argv, ...more], { env: { DIRECTORY: PASSWORD } });
    expect(stdout).toMatch(
      /^POP3 UNKNOWN - directory-refused in directory, localhost is no domain controller of Active Directory: it names no configuration - /,
    );
    expect(code).toBe(3);
  });

  test('refuses a wrong password in its own way', async () => {
    const more = ['--directory-credential', 'cn=probe,o=Example', '--directory-password-env', 'DIRECTORY'];
    const { stdout } = await launch(CHECK_POP3, [...argv, ...more], { env: { DIRECTORY: 'Wrong-Horse-1' } });
    expect(stdout).toContain('the user name or password was not accepted (LDAP 49)');
  });
});
