import { ProbeFailure } from '../dialogue/failure.ts';
import type { ExchangeServer } from '../directory/exchange-server.ts';
import { serverBy } from '../directory/identity.ts';
import type { Reached } from '../directory/session.ts';
import type { Surroundings } from '../directory/surroundings.ts';
import { type Account, accountOf, missing } from '../directory/test-account.ts';
import { fromFile, parseUserName } from '../request/credential.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';

/**
 * Whether the mailbox of whoever was named is at home where it is to be.
 *
 * @returns the host name of the server
 */
export async function homeOfNamed(
  reached: Reached,
  settings: Settings,
  surroundings: Surroundings,
  sources: Sources,
): Promise<string | null> {
  const wanted = settings['mailbox-server'] as string | undefined;
  if (wanted === undefined) return null;
  const given = parseUserName(settings);
  const { userName } = given.startsWith('@')
    ? fromFile('--mailbox-credential', given.slice(1), sources)
    : { userName: given };
  const account = await accountOf(reached.directory, userName, surroundings.servers);
  if (account === null) throw missing(`-MailboxServer: the directory knows nobody called ${userName}`);
  requireHome(account, wanted, surroundings);
  return account.home?.fqdn ?? null;
}

/**
 * Whether the mailbox that is tested is behind a Mailbox server.
 *
 * @param given any value that identifies the server
 * @throws ProbeFailure `configuration` or `test-account-missing`, with where it is at home
 */
export function requireHome({ userName, home }: Account, given: string, surroundings: Surroundings): void {
  const server = mailboxServerBy(given, surroundings);
  if (!server.hasMailboxes) {
    throw new ProbeFailure('configuration', `-MailboxServer: ${server.name} has no mailboxes`, { phase: 'directory' });
  }
  if (home === null) {
    throw missing(`-MailboxServer ${server.name}: no server is known to be the home of the mailbox of ${userName}`);
  }
  if (home.dn !== server.dn) {
    throw missing(`-MailboxServer ${server.name}: the mailbox of ${userName} is at home on ${home.name}`);
  }
}

/**
 * The server that -MailboxServer means.
 *
 * @param given any value that identifies it
 * @throws ProbeFailure `configuration`, `directory-refused`
 */
export function mailboxServerBy(given: string, { servers, noServers }: Surroundings): ExchangeServer {
  if (noServers !== null) throw noServers;
  return serverBy('-MailboxServer', given, servers);
}
