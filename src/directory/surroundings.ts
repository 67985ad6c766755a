import { ProbeFailure } from '../dialogue/failure.ts';
import type { DirectoryPlan } from '../request/directory.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { nameOf } from './entry.ts';
import { type ExchangeServer, exchangeServerOf, SERVER_ATTRIBUTES, SERVER_CLASS } from './exchange-server.ts';
import { type Directory, LdapRefusal } from './ldap.ts';
import { domainOf, type Reached } from './session.ts';
import { type Subnet, siteOf } from './subnets.ts';

/** What Active Directory knows of where we are and whom there is to be tested. */
export interface Surroundings {
  /** The domain controller that said so. */
  readonly controller: string;
  /** Its domain, `example.com`. */
  readonly domain: string;
  /** The site of this machine, or the one it was told to be in; null where nothing tells. */
  readonly localSite: string | null;
  /** The site to be tested: another one by request. */
  readonly site: string | null;
  /** Every server of the Exchange organisation, by name. */
  readonly servers: readonly ExchangeServer[];
  /** Why there are none; null where there are some. */
  readonly noServers: ProbeFailure | null;
}

/**
 * Reads the surroundings: a few searches.
 *
 * @throws ProbeFailure of the phase `directory`
 */
export async function readSurroundings(plan: DirectoryPlan, { directory, ping }: Reached): Promise<Surroundings> {
  const configuration = directory.root.text('configurationNamingContext');
  const domain = directory.root.text('defaultNamingContext');
  if (configuration === null || domain === null) {
    throw refused(`${directory.controller} is no domain controller of Active Directory: it names no configuration`);
  }
  const localSite = plan.localSite ?? (ping?.clientSite || (await siteBySubnets(directory, configuration)));
  return {
    controller: directory.controller,
    domain: domainOf(domain),
    localSite,
    site: plan.site ?? localSite,
    ...(await serversIn(directory, configuration)),
  };
}

const refused = (why: string): ProbeFailure => new ProbeFailure('directory-refused', why, { phase: 'directory' });

/** The site by our own address among the subnets; where there is but one site, that one. */
async function siteBySubnets({ controller, search }: Directory, configuration: string): Promise<string | null> {
  const base = `CN=Sites,${configuration}`;
  const sites = await search(base, { scope: 'one', where: { objectClass: 'site' }, attributes: ['cn'] });
  const names = sites.map(({ dn }) => nameOf(dn));
  if (names.length === 1) return names[0] as string;
  const found = await search(`CN=Subnets,${base}`, {
    scope: 'one',
    where: { objectClass: 'subnet' },
    attributes: ['cn', 'siteObject'],
  });
  const subnets = found.flatMap((entry): readonly Subnet[] => {
    const site = entry.text('siteObject');
    return site === null ? [] : [{ name: nameOf(entry.dn), site: nameOf(site) }];
  });
  const own = await ownAddress(controller);
  return own === null ? null : siteOf(own, subnets);
}

/** The address this machine has towards the domain controller. Nothing is sent: the kernel only looks up the way. */
async function ownAddress(to: string): Promise<string | null> {
  return (await addressTowards(to, 'udp4')) ?? (await addressTowards(to, 'udp6'));
}

function addressTowards(to: string, kind: 'udp4' | 'udp6'): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = builtin.dgram().createSocket(kind);
    const end = (address: string | null): void => {
      socket.close();
      resolve(address);
    };
    socket.on('error', () => end(null));
    socket.connect(389, to, () => end(socket.address().address.replace(/%.*$/, '')));
  });
}

async function serversIn(
  { search }: Directory,
  configuration: string,
): Promise<Pick<Surroundings, 'servers' | 'noServers'>> {
  const base = `CN=Microsoft Exchange,CN=Services,${configuration}`;
  const none = (of: string) => ({ servers: [], noServers: refused(`there is no Exchange ${of}`) });
  let found: Awaited<ReturnType<Directory['search']>>;
  try {
    found = await search(base, {
      scope: 'sub',
      where: { objectClass: SERVER_CLASS },
      attributes: SERVER_ATTRIBUTES,
    });
  } catch (problem) {
    if (problem instanceof LdapRefusal && problem.code === NO_SUCH_OBJECT)
      return none('organisation in this directory, or this account may not see it');
    throw problem;
  }
  // What an account may not see is left out, and nothing is said of it.
  if (found.length === 0) return none('server in this directory, or this account may not see any');
  const servers = found.map(exchangeServerOf).sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  return { servers, noServers: null };
}

const NO_SUCH_OBJECT = 32;
