import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { AD_DOVECOT, type AdDovecot, startAdDovecot } from '../../support/ad-dovecot.ts';
import { CURL } from '../../support/curl.ts';
import { FAKETIME } from '../../support/icinga-cluster.ts';
import { missing, pathOf } from '../../support/installed.ts';
import { processesIn } from '../../support/processes.ts';
import { type Ended, launch } from '../../support/run.ts';
import { type Account, CONFIGURATION_DN, DOMAIN_DN, SAMBA, type Samba, startSamba } from '../../support/samba.ts';

/** Shows whether somebody is let in: what is asked for, anybody may see. */
const LOOK = ['ldapsearch', '-LLL', '-s', 'base', '-b', '', '(objectClass=*)', 'defaultNamingContext'];

// Nothing of our own asks here: the directory under the other tests is judged by OpenLDAP's and curl's clients.
describe.skipIf(missing(SAMBA, AD_DOVECOT, CURL))('the domain controller of the tests', () => {
  let samba: Samba;
  let dovecot: AdDovecot;

  beforeAll(async () => {
    samba = await startSamba();
    dovecot = await startAdDovecot(samba);
  });
  afterAll(async () => {
    await dovecot?.stop();
    await samba?.stop();
  });

  const ldap = (argv: readonly string[], account: Account, asked: Partial<Asked> = {}): Promise<Ended> =>
    ask(samba, argv, account, asked);
  /** What an account sees, one value a line. */
  const seen = async (
    account: Account,
    base: string,
    filter: string,
    attribute: string,
  ): Promise<readonly string[]> => {
    const { stdout, stderr } = await ldap(['ldapsearch', '-LLL', '-b', base, filter, attribute], account);
    expect(stderr).toBe('');
    return [...stdout.matchAll(new RegExp(`^${attribute}: (.*)$`, 'gm'))].map(([, value = '']) => value).sort();
  };

  describe.each([
    ['LDAPS', 'ldaps://dc01.example.test', []],
    ['StartTLS', 'ldap://dc01.example.test', ['-ZZ']],
  ] as const)('over %s', (_, url, tls) => {
    it.each(['administrator', 'probe', 'operator'] as const)('lets the %s in', async (who) => {
      const { code, stdout } = await ldap([...LOOK, ...tls], samba[who], { url });
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: expect.stringContaining(`defaultNamingContext: ${DOMAIN_DN}`),
      });
    });

    it('refuses a wrong password', async () => {
      const { code } = await ldap([...LOOK, ...tls], { ...samba.probe, password: 'wrong' }, { url });
      expect(code).toBe(49); // invalidCredentials
    });

    it('has a certificate that only its own authority vouches for', async () => {
      const stranger = join(samba.folder, 'stranger.pem');
      await writeFile(stranger, (await createAuthority('Somebody Else')).certificate);
      const { code, stderr } = await ldap([...LOOK, ...tls], samba.probe, { url, caFile: stranger });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/Can't contact|Connect error/); // all that the client says
    });
  });

  it('takes no password in the clear', async () => {
    const { code, stderr } = await ldap(LOOK, samba.probe, { url: 'ldap://dc01.example.test' });
    expect(code).toBe(8); // strongerAuthRequired
    expect(stderr).toContain('Transport encryption required');
  });

  it('its own address is not in its certificate', async () => {
    const { code } = await ldap(LOOK, samba.probe, { url: `ldaps://${samba.address}` });
    expect(code).not.toBe(0);
  });

  it('is found in DNS, in its own site before others', async () => {
    const resolver = resolverOf(samba);
    for (const name of ['_ldap._tcp.dc._msdcs', '_ldap._tcp.Site-A._sites.dc._msdcs', '_ldap._tcp']) {
      const records = await resolver.resolveSrv(`${name}.example.test`);
      expect(records.map(({ name, port }) => `${name}:${port}`)).toEqual(['dc01.example.test:389']);
    }
    await expect(resolver.resolveSrv('_ldap._tcp.Site-B._sites.dc._msdcs.example.test')).rejects.toThrow('ENOTFOUND');
    expect(await resolver.resolve4('dc01.example.test')).toEqual([samba.address]);
    expect(await resolver.resolve4('example.test')).toEqual([samba.address]);
    await expect(resolver.resolve6('dc01.example.test')).rejects.toThrow('ENODATA');
  });

  it.each([
    ['Mailbox', 2, ['EX2010', 'EX2013', 'EX2019', 'EXSE']],
    ['Client Access', 4, ['EX2010', 'EX2013', 'EX2019', 'EXSE']],
    ['Client Access of 2013', 1, ['EX2013', 'EX2013CAS']],
    ['Unified Messaging', 16, ['EX2013', 'EX2019', 'EXSE', 'UM2010']],
    ['Edge Transport', 64, ['EDGE']],
  ] as const)('shows who may read which servers have the role %s', async (_, bit, servers) => {
    const filter = `(&(objectClass=msExchExchangeServer)(msExchCurrentServerRoles:1.2.840.113556.1.4.803:=${bit}))`;
    expect(await seen(samba.probe, CONFIGURATION_DN, filter, 'cn')).toEqual(servers);
  });

  it('shows each server with its site, its addresses and a GUID of its own', async () => {
    const servers = await samba.search(CONFIGURATION_DN, 'sub', '(objectClass=msExchExchangeServer)');
    const sites = servers.map(({ cn, msExchServerSite }) => [cn?.[0], msExchServerSite?.[0]?.split(',')[0]]);
    expect(Object.fromEntries(sites)).toEqual({
      ...{ EX2010: 'CN=Site-A', EX2013: 'CN=Site-A', EX2013CAS: 'CN=Site-A', EX2019: 'CN=Site-A', EXSE: 'CN=Site-B' },
      ...{ UM2010: 'CN=Site-A', EDGE: 'CN=Site-A' },
    });
    for (const { cn: [name = ''] = [], networkAddress, objectGUID: [guid = ''] = [] } of servers) {
      expect(networkAddress).toContain(`ncacn_ip_tcp:${name.toLowerCase()}.example.test`);
      expect(guid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      const octets = guid.split('-').flatMap((group, at) => {
        const pairs = group.match(/../g) ?? [];
        return at < 3 ? pairs.reverse() : pairs;
      });
      const filter = `(objectGUID=\\${octets.join('\\')})`;
      expect(await samba.search(CONFIGURATION_DN, 'sub', filter, ['cn'])).toMatchObject([{ cn: [name] }]);
    }
  });

  it('has the test account of each site, named after its GUID and at home on a server there', async () => {
    for (const [site, server] of [
      ['Site-A', 'EX2019'],
      ['Site-B', 'EXSE'],
    ] as const) {
      const { name, dn } = samba.testAccounts[site];
      expect(name).toBe(
        `extest_${samba.siteGuids[site].slice(0, 8)}${samba.siteGuids[site].slice(9, 13)}${samba.siteGuids[site][14]}`,
      );
      const [home = ''] = await seen(samba.probe, dn, '(objectClass=user)', 'homeMDB');
      const [owner = ''] = await seen(samba.probe, home, '(objectClass=msExchPrivateMDB)', 'msExchOwningServer');
      const [ownSite] = await seen(samba.probe, owner, '(objectClass=msExchExchangeServer)', 'msExchServerSite');
      expect(owner).toMatch(new RegExp(`^CN=${server},`));
      expect(ownSite).toBe(`CN=${site},CN=Sites,${CONFIGURATION_DN}`);
      const [named] = await seen(samba.probe, dn, '(objectClass=user)', 'msExchHomeServerName');
      expect(await seen(samba.probe, owner, '(objectClass=*)', 'legacyExchangeDN')).toEqual([named]);
    }
  });

  it.each([
    ['CLDAP', pingByUdp],
    ['LDAP', pingByTcp],
  ] as const)('whoever does not choose an address of his own is at Site-A, by %s', async (_, ping) => {
    expect(await ping(samba.address)).toEqual({ controller: 'Site-A', client: 'Site-A' });
  });

  describe.each([
    ['CLDAP', pingByUdp],
    ['LDAP', pingByTcp],
  ] as const)('a ping by %s', (_, ping) => {
    // One in another would be Samba's to choose.
    beforeAll(() => samba.modify(`${network('127.0.0.0/8')}delete\n\n${network('127.11.0.0/16')}add\n${AT_SITE_A}`));
    afterAll(() => samba.modify(`${network('127.11.0.0/16')}delete\n\n${network('127.0.0.0/8')}add\n${AT_SITE_A}`));

    it.each([
      ['127.0.0.2', ''], // in no network: then it is at no site
      ['127.11.0.5', 'Site-A'],
      ['127.12.0.5', 'Site-B'],
    ])('tells %s that it is at %s', async (from, site) => {
      expect(await ping(samba.address, from)).toEqual({ controller: 'Site-A', client: site });
    });
  });

  describe('the operator', () => {
    const account = (name: string): Account => ({
      ...{ user: `${name}@example.test`, name, password: 'Garden-Gate-6' },
      dn: `CN=${name},${samba.testOu}`,
    });
    const change = (ldif: string) => ldap(['ldapmodify'], samba.operator, { stdin: ldif });

    it('makes an account among the test accounts, enabled and hidden, and it logs on', async () => {
      const made = account('pop3-made');
      const attributes = ['userAccountControl: 512', 'msExchHideFromAddressLists: TRUE', 'delivContLength: 1000'];
      expect(await change(added(made, attributes))).toMatchObject({ code: 0 });
      expect(await ldap(LOOK, made)).toMatchObject({ code: 0 });
    });

    it('makes none anywhere else', async () => {
      const elsewhere = { ...account('pop3-elsewhere'), dn: `CN=pop3-elsewhere,CN=Users,${DOMAIN_DN}` };
      expect(await change(added(elsewhere, []))).toMatchObject({ code: 50 }); // insufficientAccessRights
    });

    it('resets the password of a test account, and from then on only the new one is taken', async () => {
      const old = samba.testAccounts['Site-B'];
      const reset = { ...old, password: 'Garden-Gate-7' };
      expect(await change(passwordSet(reset))).toMatchObject({ code: 0 });
      expect(await ldap(LOOK, old)).toMatchObject({ code: 49 });
      expect(await ldap(LOOK, reset)).toMatchObject({ code: 0 });
      expect(await change(passwordSet(old))).toMatchObject({ code: 0 });
    });

    it.each(['administrator', 'probe'] as const)('does not reset that of the %s', async (who) => {
      expect(await change(passwordSet({ ...samba[who], password: 'Garden-Gate-8' }))).toMatchObject({ code: 50 });
      expect(await ldap(LOOK, samba[who])).toMatchObject({ code: 0 });
    });

    it('does not remove a test account, nor change what another program keeps in it', async () => {
      const { dn } = samba.testAccounts['Site-A'];
      expect(await change(`dn: ${dn}\nchangetype: delete\n`)).toMatchObject({ code: 50 });
      const moved = `dn: ${dn}\nchangetype: modify\nreplace: msExchHomeServerName\nmsExchHomeServerName: /o=Else\n`;
      expect(await change(moved)).toMatchObject({ code: 50 });
    });

    it.each(['Sh0rt!', 'onlysmallletters'])('is refused a password that the policy does not like: %s', async (weak) => {
      const { code, stderr } = await change(passwordSet({ ...samba.testAccounts['Site-A'], password: weak }));
      expect(code).toBe(19); // constraintViolation
      expect(stderr).toContain('0000052D'); // ERROR_PASSWORD_RESTRICTION
    });

    it('may what an ordinary account may not: that one resets nothing', async () => {
      const stdin = passwordSet({ ...samba.testAccounts['Site-A'], password: 'Garden-Gate-9' });
      expect(await ldap(['ldapmodify'], samba.probe, { stdin })).toMatchObject({ code: 50 });
    });
  });

  describe('Dovecot, in the place of each Exchange server', () => {
    const visit = (fqdn: string, user: string, password: string, scheme = 'pop3s'): Promise<Ended> => {
      const argv = [pathOf('curl'), '--config', '-', '--silent', '--show-error', '--max-time', '20'];
      const verified = ['--ssl-reqd', '--cacert', samba.caFile, `${scheme}://${fqdn}/`];
      const [file = '', ...args] = [...samba.inDomain, ...argv, ...verified];
      return launch(file, args, { stdin: `user = "${`${user}:${password}`.replace(/["\\]/g, '\\$&')}"\n` });
    };

    it.each(['ex2010', 'ex2013cas', 'ex2013', 'ex2019', 'exse'])('lets a test account in at %s', async (server) => {
      const { user, password } = samba.testAccounts['Site-A'];
      const before = dovecot.visits(`${server}.example.test`);
      for (const scheme of ['pop3', 'pop3s']) {
        expect(await visit(`${server}.example.test`, user, password, scheme)).toMatchObject({ code: 0, stderr: '' });
      }
      expect(dovecot.visits(`${server}.example.test`)).toBe(before + 2);
    });

    it('knows it by every name it has, and each is the same mailbox', async () => {
      const { name, password } = samba.testAccounts['Site-A'];
      await dovecot.deliver('Subject: hello\r\n\r\nhello\r\n', name);
      for (const user of [name, `${name}@example.test`, `EXAMPLE\\${name}`, `${name.toUpperCase()}`]) {
        const { code, stdout } = await visit('ex2019.example.test', user, password);
        expect({ user, code, stdout: stdout.trim() }).toEqual({ user, code: 0, stdout: '1 25' });
      }
      expect(await dovecot.messages(name)).toBe(1);
    });

    it('goes by the password that the directory has at the moment', async () => {
      const old = samba.testAccounts['Site-A'];
      const reset = { ...old, password: 'Window-Pane-7' };
      const stdin = passwordSet(reset);
      expect(await visit('ex2019.example.test', old.user, old.password)).toMatchObject({ code: 0 });
      expect(await ldap(['ldapmodify'], samba.operator, { stdin })).toMatchObject({ code: 0 });
      expect(await visit('ex2019.example.test', old.user, old.password)).toMatchObject({ code: 67 }); // logon denied
      expect(await visit('ex2019.example.test', old.user, reset.password)).toMatchObject({ code: 0 });
      await samba.modify(passwordSet(old));
    });

    it('refuses a name that would be a filter', async () => {
      const { password } = samba.testAccounts['Site-A'];
      expect(await visit('ex2019.example.test', '*', password)).toMatchObject({ code: 67 });
      expect(await visit('ex2019.example.test', 'extest_*', password)).toMatchObject({ code: 67 });
    });

    it.each(['um2010', 'edge'])('%s has a name and no POP service', async (server) => {
      expect(await visit(`${server}.example.test`, 'anybody', 'x')).toMatchObject({ code: 7 }); // connection refused
    });

    it('one of them is closed, and the others answer', async () => {
      const { user, password } = samba.testAccounts['Site-A'];
      await dovecot.close('ex2013cas.example.test');
      expect(await visit('ex2013cas.example.test', user, password)).toMatchObject({ code: 7 });
      expect(await visit('ex2013.example.test', user, password)).toMatchObject({ code: 0 });
    });
  });
});

describe.skipIf(missing(SAMBA, FAKETIME))('another domain controller of the tests', () => {
  const AHEAD = 8 * 24 * 3600;

  it('has two of what is to be ambiguous and a clock of its own, and leaves nothing behind', async () => {
    const samba = await startSamba({ isAmbiguous: true, clock: AHEAD });
    try {
      const twins = await samba.search(CONFIGURATION_DN, 'sub', '(&(objectClass=msExchExchangeServer)(cn=EX2019))', [
        'cn',
      ]);
      expect(twins).toHaveLength(2);
      const units = await samba.search(DOMAIN_DN, 'sub', '(&(objectClass=organizationalUnit)(ou=Users))', ['ou']);
      expect(units.map(({ dn }) => dn?.[0]).sort()).toEqual([`OU=Users,OU=Branch,${DOMAIN_DN}`, samba.testOu]);
      expect(Math.abs((await timeOf(samba)) - Date.now() - AHEAD * 1000)).toBeLessThan(60_000);
      samba.setClock(-600);
      expect(Math.abs((await timeOf(samba)) - Date.now() + 600_000)).toBeLessThan(60_000);
      expect(await ask(samba, LOOK, samba.probe)).toMatchObject({ code: 0 });
      expect(await processesIn(samba.folder)).toHaveLength(1);
    } finally {
      await samba.stop();
    }
    expect(existsSync(samba.folder)).toBe(false);
    expect(await processesIn(samba.folder)).toEqual([]);
    await expect(once(connect(389, samba.address), 'connect')).rejects.toThrow('ECONNREFUSED');
  });
});

interface Asked {
  readonly url: string;
  readonly caFile: string;
  readonly stdin: string;
}

/** One of OpenLDAP's commands, which finds the controller by its name and verifies its certificate. */
async function ask(
  samba: Samba,
  argv: readonly string[],
  account: Account,
  asked: Partial<Asked> = {},
): Promise<Ended> {
  const { url = 'ldaps://dc01.example.test', caFile = samba.caFile, stdin = '' } = asked;
  const passwordFile = join(samba.folder, `password-${account.name}`);
  await writeFile(passwordFile, account.password, { mode: 0o600 });
  const [command = '', ...more] = argv;
  const bind = ['-x', '-H', url, '-D', account.user, '-y', passwordFile, '-o', 'nettimeout=20'];
  const wrap = command === 'ldapsearch' ? ['-o', 'ldif-wrap=no'] : [];
  const [file = '', ...args] = [...samba.inDomain, pathOf(command), ...bind, ...wrap, ...more];
  return launch(file, args, { stdin, env: { LDAPTLS_CACERT: caFile, LDAPTLS_REQCERT: 'hard' } });
}

const quoted = (password: string): string => Buffer.from(`"${password}"`, 'utf16le').toString('base64');

const passwordSet = ({ dn, password }: Account): string =>
  `dn: ${dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: ${quoted(password)}\n`;

const added = ({ dn, user, name, password }: Account, attributes: readonly string[]): string =>
  [
    ...[`dn: ${dn}`, 'changetype: add', 'objectClass: user', `sAMAccountName: ${name}`, `userPrincipalName: ${user}`],
    ...[`unicodePwd:: ${quoted(password)}`, ...attributes, ''],
  ].join('\n');

function resolverOf({ address }: Samba): Resolver {
  const resolver = new Resolver({ timeout: 5_000, tries: 2 });
  resolver.setServers([address]);
  return resolver;
}

/** currentTime of the root, a generalized time such as 20260116120000.0Z, in ms since 1970. */
async function timeOf(samba: Samba): Promise<number> {
  const [root] = await samba.search('', 'base', '(objectClass=*)', ['currentTime']);
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(root?.currentTime?.[0] ?? '') ?? [];
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

const network = (name: string): string => `dn: CN=${name},CN=Subnets,CN=Sites,${CONFIGURATION_DN}\nchangetype: `;

const AT_SITE_A = `objectClass: subnet\nsiteObject: CN=Site-A,CN=Sites,${CONFIGURATION_DN}\n`;

interface Sites {
  readonly controller: string;
  readonly client: string;
}

async function pingByUdp(address: string, from?: string): Promise<Sites> {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, from);
    await once(socket, 'listening');
    socket.send(PING, 389, address);
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(20_000) });
    return sitesIn(answer);
  } finally {
    socket.close();
  }
}

async function pingByTcp(address: string, from?: string): Promise<Sites> {
  const socket = connect({ port: 389, host: address, ...(from === undefined ? {} : { localAddress: from }) });
  try {
    await once(socket, 'connect');
    socket.write(PING);
    const [answer] = await once(socket, 'data', { signal: AbortSignal.timeout(20_000) });
    return sitesIn(answer);
  } finally {
    socket.destroy();
  }
}

const element = (tag: number, ...content: readonly (Buffer | string)[]): Buffer => {
  const octets = Buffer.concat(content.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
  return Buffer.concat([Buffer.of(tag, octets.length), octets]); // short: below 128 octets
};

/** RFC 4511 §4.5.1: the root of the directory, asked for the attribute netlogon. */
const PING = element(
  0x30,
  element(0x02, '\x01'),
  element(
    0x63,
    ...[element(0x04), element(0x0a, '\0'), element(0x0a, '\0'), element(0x02, '\0'), element(0x02, '\0')],
    element(0x01, '\0'),
    element(
      0xa0,
      element(0xa3, element(0x04, 'DnsDomain'), element(0x04, 'example.test')),
      element(0xa3, element(0x04, 'NtVer'), element(0x04, '\x06\0\0\0')),
    ),
    element(0x30, element(0x04, 'netlogon')),
  ),
);

/** NETLOGON_SAM_LOGON_RESPONSE_EX: 24 octets, then names compressed as in DNS; the last two of eight are sites. */
function sitesIn(answer: Buffer): Sites {
  const start = answer.indexOf(Buffer.of(23, 0, 0, 0)); // LOGON_SAM_LOGON_RESPONSE_EX
  expect(start).toBeGreaterThan(0);
  const octets = answer.subarray(start);
  let at = 24;
  const names = Array.from({ length: 8 }, () => {
    const [name, next] = nameAt(octets, at);
    at = next;
    return name;
  });
  expect(names[2]).toBe('dc01.example.test');
  return { controller: names[6] ?? '', client: names[7] ?? '' };
}

function nameAt(octets: Buffer, from: number): readonly [string, number] {
  const length = octets.readUInt8(from);
  if (length === 0) return ['', from + 1];
  if (length >= 0xc0) return [nameAt(octets, octets.readUInt16BE(from) & 0x3fff)[0], from + 2];
  const [rest, next] = nameAt(octets, from + 1 + length);
  const label = octets.toString('latin1', from + 1, from + 1 + length);
  return [rest === '' ? label : `${label}.${rest}`, next];
}
