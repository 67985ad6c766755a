import { ProbeFailure } from '../dialogue/failure.ts';
import type { DirectoryPlan } from '../request/directory.ts';
import { builtin } from '../runtimes/node/builtin.ts';
import { type Hold, holding } from '../runtimes/node/reach.ts';
import { controllersOf } from './controllers.ts';
import { nameOf } from './entry.ts';
import { type ExchangeServer, exchangeServerOf, SERVER_ATTRIBUTES, SERVER_CLASS } from './exchange-server.ts';
import { type Directory, openDirectory } from './ldap.ts';
import { type LdapPing, NT_VERSION, readPing } from './netlogon.ts';
import { type Subnet, siteOf } from './subnets.ts';

/** What Active Directory knows of where we are and whom there is to be tested. */
export interface Surroundings {
  /** The domain controller that said so. */
  readonly controller: string;
  /** The site of this machine, or the one it was told to be in; null where nothing tells. */
  readonly localSite: string | null;
  /** The site to be tested: another one by request. */
  readonly site: string | null;
  /** Every server of the Exchange organisation, by name. */
  readonly servers: readonly ExchangeServer[];
}

/**
 * Reads the surroundings: one bind, a few searches.
 *
 * @param limitMs how long it may take
 * @throws ProbeFailure of the phase `directory`
 */
export async function readSurroundings(plan: DirectoryPlan, limitMs: number): Promise<Surroundings> {
  const { hold, letGo } = holding();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const failure = new ProbeFailure('directory-unreachable', `no answer within ${limitMs / 1000} s`, {
      phase: 'directory',
    });
    timer = setTimeout(() => reject(failure), limitMs);
  });
  try {
    return await Promise.race([read(plan, hold), late]);
  } finally {
    clearTimeout(timer);
    letGo();
  }
}

async function read(plan: DirectoryPlan, hold: Hold): Promise<Surroundings> {
  const { directory, ping } = await nearest(plan, hold);
  const configuration = directory.root.text('configurationNamingContext');
  if (configuration === null) {
    throw refused(`${directory.controller} is no domain controller of Active Directory: it names no configuration`);
  }
  const localSite = plan.localSite ?? (ping?.clientSite || (await siteBySubnets(directory, configuration)));
  return {
    controller: directory.controller,
    localSite,
    site: plan.site ?? localSite,
    servers: await serversIn(directory, configuration),
  };
}

const refused = (why: string): ProbeFailure => new ProbeFailure('directory-refused', why, { phase: 'directory' });

interface Reached {
  readonly directory: Directory;
  readonly ping: LdapPing | null;
}

/** The domain controller that was named, else one of the domain, of our own site if it has one. */
async function nearest(plan: DirectoryPlan, hold: Hold): Promise<Reached> {
  if (plan.controller !== null) return reached(plan, plan.controller, hold);
  const domain = plan.domain as string;
  const first = await firstOf(plan, await controllersOf(domain, null), hold);
  const { ping } = first;
  if (ping === null || ping.clientSite === '' || ping.clientSite === ping.controllerSite) return first;
  const near = await controllersOf(domain, ping.clientSite).catch(() => []);
  if (near.length === 0) return first;
  first.directory.close();
  return firstOf(plan, near, hold);
}

/** The first that lets us in; a refusal is one by all of them. */
async function firstOf(plan: DirectoryPlan, controllers: readonly string[], hold: Hold): Promise<Reached> {
  let trouble: unknown;
  for (const controller of controllers) {
    try {
      return await reached(plan, controller, hold);
    } catch (problem) {
      trouble = problem;
      if (problem instanceof ProbeFailure && problem.reason !== 'directory-unreachable') break;
    }
  }
  throw trouble;
}

async function reached(plan: DirectoryPlan, controller: string, hold: Hold): Promise<Reached> {
  const directory = await openDirectory({ ...plan, controller }, hold);
  return { directory, ping: await pinged(directory) };
}

/** The LDAP ping (MS-ADTS §6.3.3); a directory that does not answer it is asked for its subnets. */
async function pinged({ root, search }: Directory): Promise<LdapPing | null> {
  const domain = domainOf(root.text('defaultNamingContext') ?? '');
  const where = { DnsDomain: domain, NtVer: NT_VERSION };
  const [answer] = await search('', { scope: 'base', where, attributes: ['netlogon'] }).catch(() => []);
  const [octets] = answer?.values('netlogon') ?? [];
  return octets === undefined ? null : readPing(octets);
}

/** `DC=example,DC=com` is `example.com`. */
const domainOf = (dn: string): string => dn.replace(/,?\s*DC=/gi, '.').replace(/^\./, '');

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

async function serversIn({ search }: Directory, configuration: string): Promise<readonly ExchangeServer[]> {
  const base = `CN=Microsoft Exchange,CN=Services,${configuration}`;
  let found: Awaited<ReturnType<Directory['search']>>;
  try {
    found = await search(base, {
      scope: 'sub',
      where: { objectClass: SERVER_CLASS },
      attributes: SERVER_ATTRIBUTES,
    });
  } catch (problem) {
    if (!(problem instanceof ProbeFailure && / \(LDAP 32\)$/.test(problem.message))) throw problem;
    throw refused('there is no Exchange organisation in this directory, or this account may not see it');
  }
  // What an account may not see is left out, and nothing is said of it.
  if (found.length === 0)
    throw refused('there is no Exchange server in this directory, or this account may not see any');
  return found.map(exchangeServerOf).sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
}
