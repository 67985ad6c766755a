import { type Entry, nameOf } from './entry.ts';
import { guidOf } from './guid.ts';

/** A server of an Exchange organisation, as Active Directory describes it. */
export interface ExchangeServer {
  readonly name: string;
  /** What to connect to; the name where no host name is known. */
  readonly fqdn: string;
  readonly dn: string;
  readonly legacyDn: string | null;
  readonly guid: string | null;
  /** The name of its site; null where it has none. */
  readonly site: string | null;
  /** `15.1`; null where it is not told. */
  readonly version: string | null;
  /** What keeps it from having a POP3 service for clients; null where it may have one. */
  readonly notPop: string | null;
  readonly hasMailboxes: boolean;
}

export const SERVER_CLASS = 'msExchExchangeServer';

export const SERVER_ATTRIBUTES = [
  'cn',
  'objectGUID',
  'legacyExchangeDN',
  'networkAddress',
  'versionNumber',
  'serialNumber',
  'msExchCurrentServerRoles',
  'msExchServerSite',
] as const;

export function exchangeServerOf(entry: Entry): ExchangeServer {
  const [guid] = entry.values('objectGUID');
  const name = entry.text('cn') ?? nameOf(entry.dn);
  const site = entry.text('msExchServerSite');
  const roles = whole(entry.text('msExchCurrentServerRoles'));
  const version = versionOf(entry);
  return {
    name,
    fqdn: hostNameOf(entry) ?? name,
    dn: entry.dn,
    legacyDn: entry.text('legacyExchangeDN'),
    guid: guid === undefined ? null : guidOf(guid),
    site: site === null ? null : nameOf(site),
    version: version === null ? null : `${version.major}.${version.minor}`,
    notPop: whyNotPop(roles, version?.major ?? null),
    hasMailboxes: roles !== null && (roles & ROLE.mailbox) !== 0,
  };
}

/** `msExchCurrentServerRoles`, as Exchange's own tools read it. */
const ROLE = { frontEnd: 1, mailbox: 2, clientAccess: 4, edge: 64 } as const;

/** From 2013 on what clients connect to stands before the mailboxes, on the same machine from 2016 on. */
const FIRST_WITHOUT_ROLE = 15;

function whyNotPop(roles: number | null, major: number | null): string | null {
  if (roles === null) return 'the directory does not tell its roles';
  if ((roles & (ROLE.frontEnd | ROLE.clientAccess)) !== 0) return null;
  if (major !== null && major >= FIRST_WITHOUT_ROLE && (roles & ROLE.mailbox) !== 0) return null;
  return (roles & ROLE.edge) !== 0 ? 'an Edge Transport server has no POP3' : 'it has no Client Access role';
}

/** `ncacn_ip_tcp:ex01.example.com` among other protocols. */
function hostNameOf(entry: Entry): string | null {
  const addresses = entry.values('networkAddress').map((octets) => new TextDecoder().decode(octets));
  const found = addresses.find((address) => /^ncacn_ip_tcp:/i.test(address));
  return found?.replace(/^[^:]*:/, '').trim() || null;
}

/**
 * `versionNumber`: four bits of an old structure, six of the major version, six of the minor, a flag, fifteen of the
 * build. `serialNumber` says the same in words, `Version 15.1 (Build 30466.16)`.
 */
function versionOf(entry: Entry): { readonly major: number; readonly minor: number } | null {
  const number = whole(entry.text('versionNumber'));
  if (number !== null) return { major: (number >>> 22) & 0x3f, minor: (number >>> 16) & 0x3f };
  const [, major, minor] = /(\d+)\.(\d+)/.exec(entry.text('serialNumber') ?? '') ?? [];
  return major === undefined ? null : { major: Number(major), minor: Number(minor) };
}

const whole = (text: string | null): number | null => (text !== null && /^-?\d+$/.test(text) ? Number(text) : null);
