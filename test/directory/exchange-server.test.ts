import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/directory/entry.ts';
import { exchangeServerOf } from '../../src/directory/exchange-server.ts';

type Attributes = Readonly<Record<string, string | Uint8Array | readonly string[]>>;

function entry(attributes: Attributes, dn = 'CN=EX01,CN=Servers,CN=Configuration,DC=example,DC=com'): Entry {
  const values = (name: string): readonly Uint8Array[] => {
    const value = attributes[name];
    const all = value === undefined ? [] : Array.isArray(value) ? value : [value];
    return all.map((each) => (typeof each === 'string' ? Buffer.from(each) : each));
  };
  return { dn, values, text: (name) => values(name)[0]?.toString() ?? null };
}

const server = (attributes: Attributes) => exchangeServerOf(entry(attributes));

/** versionNumber: 0111, six bits of the major version, six of the minor, a flag, fifteen bits of the build. */
const numbered = (major: number, minor: number, build: number): string =>
  String(0x70000000 + major * 2 ** 22 + minor * 2 ** 16 + 2 ** 15 + build);

describe('what an Exchange server may be asked for', () => {
  const NO_ROLE = 'it has no Client Access role';
  const EDGE = 'an Edge Transport server has no POP3';
  test.each<[string, number, number, number, string | null, boolean]>([
    // Roles: Mailbox 2, Client Access 4, Unified Messaging 16, Hub Transport 32, Edge Transport 64; 1 is the front end.
    ['2007, Client Access and Hub Transport', 8, 3, 36, null, false],
    ['2007, Mailbox alone', 8, 3, 2, NO_ROLE, true],
    ['2007, Edge Transport', 8, 3, 64, EDGE, false],
    ['2010, all of them', 14, 3, 54, null, true],
    ['2010, Client Access alone', 14, 3, 4, null, false],
    ['2010, Mailbox and Hub Transport', 14, 3, 34, NO_ROLE, true],
    ['2010, Unified Messaging', 14, 3, 16, NO_ROLE, false],
    ['2010, Edge Transport', 14, 3, 64, EDGE, false],
    ['2013, Client Access alone', 15, 0, 16385, null, false],
    ['2013, Mailbox alone', 15, 0, 54, null, true],
    ['2013, both', 15, 0, 16439, null, true],
    ['2016, Mailbox', 15, 1, 16439, null, true],
    ['2016, Edge Transport', 15, 1, 64, EDGE, false],
    ['2019, Mailbox', 15, 2, 54, null, true],
    ['2019, Mailbox without the bit of Client Access', 15, 2, 2, null, true],
    ['2019, Edge Transport', 15, 2, 64, EDGE, false],
    ['Subscription Edition, Mailbox', 15, 2, 16439, null, true],
    ['no role yet, setup did not end', 15, 2, 0, NO_ROLE, false],
  ])('%s', (_, major, minor, roles, notPop, hasMailboxes) => {
    const told = { notPop, hasMailboxes, version: `${major}.${minor}` };
    const common = { msExchCurrentServerRoles: String(roles) };
    expect(server({ ...common, versionNumber: numbered(major, minor, 1118) })).toMatchObject(told);
    const serialNumber = `Version ${major}.${minor} (Build 31118.7)`;
    expect(server({ ...common, serialNumber })).toMatchObject(told);
  });

  test('is not known of one whose roles this account may not read', () => {
    expect(server({ versionNumber: numbered(15, 2, 1118) })).toMatchObject({
      notPop: 'the directory does not tell its roles',
      hasMailboxes: false,
    });
  });

  test.each(['', 'many', '1.5', '0x04', '4 '])('is not known of one whose roles are %j', (roles) => {
    expect(server({ msExchCurrentServerRoles: roles }).notPop).toBe('the directory does not tell its roles');
  });

  test('is known of a Mailbox server without a version no more than its roles say', () => {
    expect(server({ msExchCurrentServerRoles: '2' })).toMatchObject({ version: null, notPop: NO_ROLE });
    expect(server({ msExchCurrentServerRoles: '4' })).toMatchObject({ version: null, notPop: null });
  });
});

describe('who it is', () => {
  test('all that a directory tells of it', () => {
    const told = {
      cn: 'EX01',
      objectGUID: Buffer.from('a1fda54c99c31b4f9b7e0123456789ab', 'hex'),
      legacyExchangeDN: '/o=First Organization/cn=EX01',
      networkAddress: ['netbios:EX01', 'ncacn_np:EX01', 'ncacn_ip_tcp:ex01.example.com', 'ncalrpc:EX01'],
      msExchServerSite: 'CN=Site A\\, old,CN=Sites,CN=Configuration,DC=example,DC=com',
      msExchCurrentServerRoles: '54',
      versionNumber: numbered(15, 2, 1118),
    };
    expect(server(told)).toEqual({
      name: 'EX01',
      fqdn: 'ex01.example.com',
      dn: 'CN=EX01,CN=Servers,CN=Configuration,DC=example,DC=com',
      legacyDn: '/o=First Organization/cn=EX01',
      guid: '4ca5fda1-c399-4f1b-9b7e-0123456789ab',
      site: 'Site A, old',
      version: '15.2',
      notPop: null,
      hasMailboxes: true,
    });
  });

  test('nothing but its distinguished name', () => {
    expect(server({})).toMatchObject({
      ...{ name: 'EX01', fqdn: 'EX01', legacyDn: null, guid: null, site: null, version: null },
    });
  });

  test.each<[string, readonly string[], string]>([
    ['the protocol in capitals', ['NCACN_IP_TCP:ex01.example.com'], 'ex01.example.com'],
    ['none over TCP', ['netbios:EX01', 'ncalrpc:EX01'], 'EX01'],
    ['an empty one', ['ncacn_ip_tcp:'], 'EX01'],
    ['one in the middle of another', ['x ncacn_ip_tcp:other.example.com'], 'EX01'],
  ])('its host name, of network addresses with %s', (_, networkAddress, fqdn) => {
    expect(server({ networkAddress }).fqdn).toBe(fqdn);
  });
});
