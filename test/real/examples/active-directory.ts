import type { SlapdOptions } from '../../support/slapd.ts';

/** A server of Exchange as Active Directory has it: what stands in msExchCurrentServerRoles, bit by bit. */
export interface ExchangeServer {
  readonly name: string;
  readonly roles: number;
}

/** Six generations and kinds; what the roles mean is in the comments. */
export const SERVERS: readonly ExchangeServer[] = [
  { name: 'cas10', roles: 4 }, // 2010: Client Access
  { name: 'mbx10', roles: 2 }, // Mailbox alone
  { name: 'hub10', roles: 32 }, // Hub Transport alone
  { name: 'cas13', roles: 16385 }, // 2013: Client Access on a server of its own
  { name: 'ex16', roles: 54 }, // 2016 and later: all of it
  { name: 'edge16', roles: 64 }, // Edge Transport
];

export const READER = 'CN=pop3-reader,CN=Users,DC=example,DC=com';

const SERVERS_DN =
  'CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=First Organization,' +
  'CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=example,DC=com';

/** As much of a directory as an Exchange organisation leaves in it. The numbers are those for documentation (RFC 5612). */
export const directoryWith = (
  servers: readonly ExchangeServer[],
  readerPassword: string,
): Omit<SlapdOptions, 'identity'> => ({
  suffix: 'DC=example,DC=com',
  schema: `
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'networkAddress' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'msExchCurrentServerRoles' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'container' STRUCTURAL MUST cn )
objectclass ( 1.3.6.1.4.1.32473.2.3 NAME 'domainDNS' STRUCTURAL MUST dc )
objectclass ( 1.3.6.1.4.1.32473.2.2 NAME 'msExchExchangeServer' STRUCTURAL MUST cn
  MAY ( networkAddress $ msExchCurrentServerRoles ) )
`,
  entries: [
    'dn: DC=example,DC=com\nobjectClass: domainDNS\ndc: example\n',
    ...containersDownTo('CN=Users,DC=example,DC=com'),
    `dn: ${READER}\nobjectClass: person\ncn: pop3-reader\nsn: pop3-reader\nuserPassword: ${readerPassword}\n`,
    ...containersDownTo(SERVERS_DN),
    ...servers.map(entryOf),
  ].join('\n'),
});

function entryOf({ name, roles }: ExchangeServer): string {
  const addresses = [`netbios:${name}`, `ncacn_np:${name}`, `ncacn_ip_tcp:${name}.example.com`, `ncalrpc:${name}`];
  return [
    `dn: CN=${name.toUpperCase()},${SERVERS_DN}`,
    'objectClass: msExchExchangeServer',
    `cn: ${name.toUpperCase()}`,
    ...addresses.map((address) => `networkAddress: ${address}`),
    `msExchCurrentServerRoles: ${roles}`,
    '',
  ].join('\n');
}

/** The containers of a distinguished name below the domain, the highest first. */
function containersDownTo(name: string): readonly string[] {
  const parts = name.split(',').filter((part) => part.startsWith('CN='));
  return parts
    .map((_, at) => parts.slice(at))
    .reverse()
    .map((path) => `dn: ${path.join(',')},DC=example,DC=com\nobjectClass: container\ncn: ${path[0]?.slice(3)}\n`);
}
