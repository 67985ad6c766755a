import { ProbeFailure } from '../dialogue/failure.ts';
import { type Entry, isSame } from './entry.ts';
import type { ExchangeServer } from './exchange-server.ts';
import { fileTimeOf } from './file-time.ts';
import { guidOf } from './guid.ts';
import { type Directory, LdapRefusal } from './ldap.ts';
import { domainOf } from './session.ts';

/** An account of the domain, as far as it matters to whoever tests with it. */
export interface Account {
  readonly dn: string;
  /** What it logs on with: its userPrincipalName, else its sAMAccountName. */
  readonly userName: string;
  /** Its address; null where it has none. */
  readonly mail: string | null;
  /** What keeps everybody from logging on with it, whatever the password; null where nothing does. */
  readonly barred: 'is disabled' | 'is locked' | null;
  /** Whether its password has to be changed before anything else. */
  readonly isExpired: boolean;
  /**
   * `pwdLastSet`, when its password was set, by the clock of whoever set it: 100 ns since 1601, in digits; `0` where it has to be
   * changed first. Null where we may not know.
   */
  readonly passwordSet: string | null;
  /** The server its mailbox is at home on; null where it has none, or nobody tells. */
  readonly home: ExchangeServer | null;
}

/**
 * What Exchange calls the test account of a site: `extest_` and the first thirteen digits of the GUID of that site.
 *
 * @param siteGuid in the form of `guidOf`
 */
export const testAccountName = (siteGuid: string): string => `extest_${siteGuid.replace(/-/g, '').slice(0, 13)}`;

/**
 * The GUID of a site.
 *
 * @throws ProbeFailure `configuration` where there is no such site
 */
export async function guidOfSite({ root, search }: Directory, site: string): Promise<string> {
  const base = `CN=Sites,${root.text('configurationNamingContext')}`;
  const where = { objectClass: 'site', cn: site };
  const [found] = await search(base, { scope: 'one', where, attributes: ['objectGUID'] });
  const [guid] = found?.values('objectGUID') ?? [];
  if (guid !== undefined) return guidOf(guid);
  throw new ProbeFailure('configuration', `there is no site ${site} in the directory`, { phase: 'directory' });
}

/** What keeps a test from having somebody to log on as. */
export const missing = (why: string): ProbeFailure =>
  new ProbeFailure('test-account-missing', why, { phase: 'directory' });

/**
 * Who somebody is in the domain, by the name a mailbox is logged on to with: `kweku`, `CONTOSO\kweku`, `kweku@contoso.com`,
 * and as Exchange takes it `contoso.com/kweku/alias`.
 *
 * @returns null where there is nobody of that name
 * @throws ProbeFailure of the phase `directory`; `configuration` where there are several
 */
export async function accountOf(
  directory: Directory,
  userName: string,
  servers: readonly ExchangeServer[],
): Promise<Account | null> {
  const { domain, name } = partsOfName(userName);
  if (domain !== null && !(await isOurs(directory, domain))) return null;
  const [local = '', suffix] = name.split('@');
  const ways: readonly (readonly [string, string])[] = [
    ...(suffix === undefined ? [] : [['userPrincipalName', name] as const, ['mail', name] as const]),
    // Everybody has such a name, whatever else is told.
    ...(suffix === undefined || (await isOurs(directory, suffix)) ? [['sAMAccountName', local] as const] : []),
  ];
  for (const [attribute, value] of ways) {
    const where = { objectClass: 'user', [attribute]: value };
    const [found, ...others] = await directory.search(baseOf(directory), {
      scope: 'sub',
      where,
      attributes: ATTRIBUTES,
    });
    if (others.length > 0) {
      const why = `${others.length + 1} accounts of the directory have the ${attribute} ${value}`;
      throw new ProbeFailure('configuration', why, { phase: 'directory' });
    }
    if (found !== undefined) return await read(directory, found, servers);
  }
  return null;
}

const baseOf = ({ root }: Directory): string => root.text('defaultNamingContext') as string;

/** A domain and a user with a slash between them; what follows is the alias of the mailbox. */
function partsOfName(userName: string): { readonly domain: string | null; readonly name: string } {
  const [first = '', second] = userName.split(/[\\/]/);
  return second === undefined ? { domain: null, name: first } : { domain: first, name: second };
}

/** Whether that is what our domain is called, in DNS or in NetBIOS. */
async function isOurs(directory: Directory, domain: string): Promise<boolean> {
  const base = baseOf(directory);
  if (domain.toLowerCase() === domainOf(base).toLowerCase()) return true;
  const partitions = `CN=Partitions,${directory.root.text('configurationNamingContext')}`;
  const where = { objectClass: 'crossRef', nCName: base };
  const [found] = await directory.search(partitions, { scope: 'one', where, attributes: ['nETBIOSName'] });
  return found?.text('nETBIOSName')?.toLowerCase() === domain.toLowerCase();
}

const ATTRIBUTES = [
  'sAMAccountName',
  'userPrincipalName',
  'mail',
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'pwdLastSet',
  'homeMDB',
  'msExchHomeServerName',
];

/** ACCOUNTDISABLE; and of those the directory works out, LOCKOUT and PASSWORD_EXPIRED: MS-ADTS §2.2.16 and §3.1.1.4.5.17. */
const FLAG = { disabled: 0x2, locked: 0x10, expired: 0x800000 } as const;

async function read(directory: Directory, entry: Entry, servers: readonly ExchangeServer[]): Promise<Account> {
  const name = entry.text('sAMAccountName') ?? '';
  const flags = Number(entry.text('userAccountControl') ?? 0);
  const computed = Number(entry.text('msDS-User-Account-Control-Computed') ?? 0);
  const passwordSet = fileTimeOf(entry.text('pwdLastSet'));
  return {
    dn: entry.dn,
    userName: entry.text('userPrincipalName') ?? name,
    mail: entry.text('mail'),
    barred: (flags & FLAG.disabled) !== 0 ? 'is disabled' : (computed & FLAG.locked) !== 0 ? 'is locked' : null,
    isExpired: passwordSet === '0' || (computed & FLAG.expired) !== 0,
    passwordSet,
    home: await homeOf(directory, entry, servers),
  };
}

/** By the database the mailbox is in, for that may move from server to server; else by the server that was noted. */
async function homeOf(
  { search }: Directory,
  entry: Entry,
  servers: readonly ExchangeServer[],
): Promise<ExchangeServer | null> {
  const database = entry.text('homeMDB');
  if (database !== null) {
    const owner = await ownerOf(search, database);
    const found = servers.find(({ dn }) => owner !== null && isSame(dn, owner));
    if (found !== undefined) return found;
  }
  const noted = entry.text('msExchHomeServerName')?.toLowerCase();
  return servers.find(({ legacyDn }) => legacyDn !== null && legacyDn.toLowerCase() === noted) ?? null;
}

async function ownerOf(search: Directory['search'], database: string): Promise<string | null> {
  try {
    const [found] = await search(database, { scope: 'base', where: {}, attributes: ['msExchOwningServer'] });
    return found?.text('msExchOwningServer') ?? null;
  } catch (problem) {
    // A database that is gone, or that we may not see.
    if (problem instanceof LdapRefusal) return null;
    throw problem;
  }
}
