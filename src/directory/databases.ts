import { nameOf } from './entry.ts';
import type { ExchangeServer } from './exchange-server.ts';
import type { Directory } from './ldap.ts';

/**
 * The mailbox databases of a server, by name.
 *
 * @throws ProbeFailure of the phase `directory`
 */
export async function databasesOn({ root, search }: Directory, { dn }: ExchangeServer): Promise<readonly string[]> {
  const base = `CN=Microsoft Exchange,CN=Services,${root.text('configurationNamingContext')}`;
  const where = { objectClass: 'msExchPrivateMDB', msExchOwningServer: dn };
  const found = await search(base, { scope: 'sub', where, attributes: ['cn'] });
  return found.map((database) => nameOf(database.dn)).sort();
}
