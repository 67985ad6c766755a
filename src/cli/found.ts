import { ProbeFailure, usage } from '../dialogue/failure.ts';
import type { ExchangeServer } from '../directory/exchange-server.ts';
import type { Surroundings } from '../directory/surroundings.ts';
import { parseDirectory } from '../request/directory.ts';
import { parseHost } from '../request/host.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import { readsTargets, serversIn } from './targets.ts';

/** Whom a directory or DNS names, where the command line does not, or names in a directory's words. */
export interface Found {
  /** A test each: what is set for it alone. */
  readonly entries: readonly Settings[];
  /** Servers that are there and have nothing to be tested, or that were named and are not there. */
  readonly others: readonly Other[];
  /** The site of this machine; null where no directory tells. */
  readonly localSite: string | null;
  /** The sites of the servers, by host name. */
  readonly sites: ReadonlyMap<string, string | null>;
}

export interface Other {
  readonly server: string;
  readonly why: ProbeFailure;
  /** Whether there is nothing wrong with that. */
  readonly isSkipped: boolean;
}

const SERVER = 'client-access-server';

/**
 * Finds them.
 *
 * @param settings those for all servers
 * @param limitMs how long a directory may take
 * @returns null where only the command line says whom to test
 * @throws ProbeFailure `usage`, `configuration`, `directory-unreachable`, `directory-refused`
 */
export async function find(settings: Settings, limitMs: number, sources: Sources): Promise<Found | null> {
  const plan = await parseDirectory(settings, sources);
  const domain = settings['discover-srv'];
  if (domain !== undefined && (plan !== null || settings[SERVER] !== undefined)) {
    throw usage(
      `--discover-srv and --${plan === null ? SERVER : 'domain-controller or --directory-domain'} contradict each other`,
    );
  }
  if (domain !== undefined) return bySrv(parseHost('--discover-srv', domain, sources).ascii.replace(/\.$/, ''));
  if (plan === null) return null;
  const { readSurroundings } = await import('../directory/surroundings.ts');
  const surroundings = await readSurroundings(plan, limitMs);
  const sites = new Map(surroundings.servers.map(({ fqdn, site }) => [fqdn, site]));
  const named = (settings[SERVER] as readonly string[] | undefined) ?? [];
  if (named.length > 0) return { ...(await byIdentity(named.flatMap(serversIn), surroundings)), sites };
  // A file of targets says whom to test; the directory then says in which site we are.
  const isListed = settings.targets !== undefined || readsTargets(settings);
  const found = isListed ? { entries: [], others: [], localSite: surroundings.localSite } : bySite(surroundings);
  return { ...found, sites };
}

type Placed = Omit<Found, 'sites'>;

const entryOf = ({ fqdn }: ExchangeServer): Settings => ({ [SERVER]: fqdn });

async function byIdentity(named: readonly string[], { servers, localSite }: Surroundings): Promise<Placed> {
  const { serverBy } = await import('../directory/identity.ts');
  const entries: Settings[] = [];
  const others: Other[] = [];
  for (const given of named) {
    try {
      const server = serverBy(`--${SERVER}`, given, servers);
      if (server.notPop === null) entries.push(entryOf(server));
      else others.push(skipped(server, server.notPop));
    } catch (problem) {
      if (!(problem instanceof ProbeFailure)) throw problem;
      others.push({ server: given, why: problem, isSkipped: false });
    }
  }
  return { entries, others, localSite };
}

/** Every server of the site; those without the role are told of, and not tested. */
function bySite({ servers, site, localSite, controller }: Surroundings): Placed {
  const nobody = (why: string): ProbeFailure =>
    new ProbeFailure('configuration', `No Client Access servers were tested: ${why}`, { phase: 'directory' });
  if (site === null) {
    throw nobody(
      `${controller} does not tell in which site this machine is: give --local-site, or -ClientAccessServer`,
    );
  }
  const there = servers.filter((server) => server.site?.toLowerCase() === site.toLowerCase());
  if (there.length === 0) {
    const sites = [...new Set(servers.map((server) => server.site ?? 'no site'))].sort();
    const elsewhere = sites.length === 0 ? 'there is none at all' : `there are some in ${sites.join(', ')}`;
    throw nobody(`no Exchange server is in the site ${site}; ${elsewhere}`);
  }
  const able = there.filter(({ notPop }) => notPop === null);
  if (able.length === 0)
    throw nobody(`of ${there.length} Exchange servers in the site ${site} none has POP3 for clients`);
  const others = there.filter(({ notPop }) => notPop !== null).map((server) => skipped(server, String(server.notPop)));
  return { entries: able.map(entryOf), others, localSite };
}

const skipped = ({ fqdn }: ExchangeServer, why: string): Other => ({
  server: fqdn,
  why: new ProbeFailure('configuration', why, { phase: 'directory' }),
  isSkipped: true,
});

/** RFC 6186 §3.4: POP3 with TLS from the first octet, and with STLS. */
const SERVICES = [
  ['_pop3s._tcp', { ssl: true }],
  ['_pop3._tcp', {}],
] as const;

async function bySrv(domain: string): Promise<Found> {
  const { servicesOf } = await import('../runtimes/node/srv.ts');
  const entries: Settings[] = [];
  const troubles: string[] = [];
  for (const [service, common] of SERVICES) {
    const name = `${service}.${domain}`;
    try {
      for (const { host, port } of await servicesOf(name)) {
        entries.push({ [SERVER]: host, 'port-client-access-server': String(port), ...common });
      }
    } catch (problem) {
      troubles.push(`${name}: ${(problem as Error).message}`);
      if (!MISSING.includes((problem as { code?: string }).code ?? '')) {
        throw new ProbeFailure('dns-unavailable', `--discover-srv ${troubles.join('; ')}`, { phase: 'dns' });
      }
    }
  }
  if (entries.length > 0) return { entries, others: [], localSite: null, sites: new Map() };
  const why = troubles.length === 0 ? 'DNS says that it has no POP3' : troubles.join('; ');
  throw new ProbeFailure('configuration', `--discover-srv ${domain}: ${why}`);
}

/** No such name, no such record: DNS has answered. */
const MISSING: readonly string[] = ['ENOTFOUND', 'ENODATA'];
