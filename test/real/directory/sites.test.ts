import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AD_DOVECOT } from '../../support/ad-dovecot.ts';
import { publishService, withDomain } from '../../support/ad-scene.ts';
import { missing } from '../../support/installed.ts';
import { type LdapDoor, openLdapDoor } from '../../support/ldap-doors.ts';
import { CONFIGURATION_DN, SAMBA } from '../../support/samba.ts';

/** Of Site-B, and so is whoever comes from it; 127.0.0.1 is of Site-A, and this one of none. */
const AT_SITE_B = '127.12.0.1';
const NOWHERE = '127.13.0.1';

/** What it is asked in an LDAP ping becomes the name of nothing: it answers as a directory does that knows no ping. */
const withoutPing = (asked: Buffer): Buffer =>
  Buffer.from(asked.toString('latin1').replace(/netlogon/gi, 'netlogox'), 'latin1');

const subnet = (name: string, site: string): string =>
  `dn: CN=${name},CN=Subnets,CN=Sites,${CONFIGURATION_DN}\nchangetype: add\nobjectClass: subnet\n` +
  `siteObject: CN=${site},CN=Sites,${CONFIGURATION_DN}\n`;
const without = (name: string): string =>
  `dn: CN=${name},CN=Subnets,CN=Sites,${CONFIGURATION_DN}\nchangetype: delete\n`;

describe.skipIf(missing(SAMBA, AD_DOVECOT))('the site of this machine', () => {
  const { samba, reader, mailbox, check, sweep, cmdlet } = withDomain();
  const doors: LdapDoor[] = [];
  // Of networks inside each other Samba takes the first that it comes to, not the smallest: here there are none.
  beforeAll(() => samba().modify(`${without('127.0.0.0/8')}\n${subnet('127.0.0.0/24', 'Site-A')}`));
  afterEach(async () => {
    await Promise.all(doors.splice(0).map((door) => door.close()));
  });

  /** Another way to the domain controller, under a name of its own in DNS. */
  async function door(more: Partial<Parameters<typeof openLdapDoor>[0]> = {}, name = 'near'): Promise<LdapDoor> {
    const identity = await samba().authority.issue({ names: [`${name}.example.test`] });
    const opened = await openLdapDoor({ identity, to: samba().address, ...more });
    doors.push(opened);
    await samba().publish({ [`${name}.example.test`]: opened.address });
    return opened;
  }
  const through = ({ port }: LdapDoor): readonly string[] => [
    ...['--domain-controller', 'near.example.test', '--directory-port', String(port), ...reader()],
  ];
  const siteOf = async (...argv: readonly string[]): Promise<string | null> => {
    const { stdout } = await cmdlet('-H', 'EXSE', '--format', 'ndjson', ...argv, ...mailbox());
    return JSON.parse(stdout).localSite;
  };
  test('is what the domain controller says of the address it sees', async () => {
    expect(await siteOf('--domain-controller', samba().fqdn, ...reader())).toBe('Site-A');
    expect(await siteOf(...through(await door()))).toBe('Site-A');
  });

  test('is another one for whoever comes from there, and its servers are tested', async () => {
    const argv = through(await door({ from: AT_SITE_B }));
    expect(await siteOf(...argv)).toBe('Site-B');
    const { line, code } = await check(...argv, ...mailbox());
    expect(line).toMatch(/^POP3 OK - exse\.example\.test: logon /);
    expect(code).toBe(0);
  });

  test('is by our own address among the subnets where an LDAP ping is not answered', async () => {
    // Not by the address the domain controller sees, which is of Site-B.
    const argv = through(await door({ from: AT_SITE_B, change: withoutPing }));
    expect(await siteOf(...argv)).toBe('Site-A');
    await samba().modify(subnet('127.0.0.0/28', 'Site-B'));
    expect(await siteOf(...argv)).toBe('Site-B');
    await samba().modify(subnet('127.0.0.1/32', 'Site-A'));
    expect(await siteOf(...argv)).toBe('Site-A');
    await samba().modify(`${without('127.0.0.0/28')}\n${without('127.0.0.1/32')}`);
  });

  describe('that the directory does not know', () => {
    const inNoSubnet = async (tests: (argv: readonly string[]) => Promise<void>): Promise<void> => {
      await samba().modify(without('127.0.0.0/24'));
      try {
        await tests(through(await door({ from: NOWHERE })));
        await tests(through(await door({ from: AT_SITE_B, change: withoutPing })));
      } finally {
        await samba().modify(subnet('127.0.0.0/24', 'Site-A'));
      }
    };

    test('leaves nobody to be tested, and that is said with what to do', async () => {
      await inNoSubnet(async (argv) => {
        const { line, code } = await check(...argv, ...mailbox());
        expect(line).toMatch(
          /^POP3 UNKNOWN - configuration in directory, No Client Access servers were tested: \S+\.example\.test does not tell in which site this machine is: give --local-site/,
        );
        expect(code).toBe(3);
      });
    });

    test('is what --local-site says, and does not matter to a server that is named', async () => {
      await inNoSubnet(async (argv) => {
        expect(await siteOf(...argv)).toBe(null);
        expect(await siteOf('--local-site', 'Site-B', ...argv)).toBe('Site-B');
        expect((await check('--local-site', 'Site-B', ...argv, ...mailbox())).line).toMatch(/^POP3 OK - exse\./);
        expect((await check('--site', 'Site-B', ...argv, ...mailbox())).line).toMatch(/^POP3 OK - exse\./);
      });
    });
  });

  test('is what --local-site says, whatever the directory does', async () => {
    const argv = through(await door({ from: AT_SITE_B }));
    expect(await siteOf('--local-site', 'Site-A', ...argv)).toBe('Site-A');
    expect((await sweep('--local-site', 'Site-A', ...argv, ...mailbox())).stdout).toMatch(/^POP3 OK - 6 servers, 6 ok/);
  });

  test('has the domain controller that is asked in the end, if DNS knows one there', async () => {
    const port = 10_636;
    const far = await door({ from: AT_SITE_B, address: samba().address, port }, 'dc01');
    const near = await door({ from: AT_SITE_B, address: samba().address.replace(/1$/, '9'), port }, 'dc02');
    const argv = ['--directory-domain', 'example.test', '--directory-port', String(port), ...reader()];
    // As long as there is none of Site-B, that of Site-A will do.
    expect((await check(...argv, ...mailbox())).line).toMatch(/^POP3 OK - exse\./);
    expect([far.visits(), near.visits()]).toEqual([1, 0]);
    await publishService(samba(), '_ldap._tcp.Site-B._sites.dc._msdcs.example.test', [
      { priority: 0, weight: 100, port: 389, host: 'dc02.example.test' },
    ]);
    expect((await check(...argv, ...mailbox())).line).toMatch(/^POP3 OK - exse\./);
    expect([far.visits(), near.visits()]).toEqual([2, 1]);
  });
});
