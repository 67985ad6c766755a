import { ProbeFailure, usage } from '../dialogue/failure.ts';
import type { ExchangeServer } from '../directory/exchange-server.ts';
import type { Reached } from '../directory/session.ts';
import type { Surroundings } from '../directory/surroundings.ts';
import { type DirectoryPlan, parseDirectory } from '../request/directory.ts';
import { parseHost } from '../request/host.ts';
import type { Settings } from '../request/settings.ts';
import type { Sources } from '../request/sources.ts';
import { parseTestAccount } from '../request/test-account.ts';
import { serversIn } from './targets.ts';
import type { TestAccount } from './test-account.ts';

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
  /** The Mailbox server behind every server that is tested; null where none is known. */
  readonly mailboxServer: string | null;
  /** Who logs on where nobody was named; null where somebody was. */
  readonly account: TestAccount | null;
}

export interface Other {
  /** A server that is told of as a Mailbox server, and no front end. */
  readonly mailboxServer?: string;
  readonly server: string;
  readonly why: ProbeFailure;
  /** Whether there is nothing wrong with that. */
  readonly isSkipped: boolean;
}

const SERVER = 'client-access-server';

/** What a search is told beside the settings. */
export interface SearchTerms {
  /** How long a directory may take. */
  readonly limitMs: number;
  /** Whether a platform runs this, and nobody watches. */
  readonly isPlatform: boolean;
  readonly sources: Sources;
}

/**
 * Finds them.
 *
 * @param settings those for all servers
 * @returns null where only the command line says whom to test
 * @throws ProbeFailure `usage`, `configuration`, `test-account-missing`, `directory-unreachable`, `directory-refused`
 */
export async function find(settings: Settings, terms: SearchTerms): Promise<Found | null> {
  const { sources, limitMs } = terms;
  const plan = await parseDirectory(settings, sources);
  const domain = settings['discover-srv'];
  if (domain !== undefined && (plan !== null || settings[SERVER] !== undefined)) {
    throw usage(
      `--discover-srv and --${plan === null ? SERVER : 'domain-controller or --directory-domain'} contradict each other`,
    );
  }
  const account = parseTestAccount(settings, plan !== null, terms.isPlatform);
  if (domain !== undefined) return bySrv(parseHost('--discover-srv', domain, sources).ascii.replace(/\.$/, ''));
  if (plan === null) return null;
  const { inDirectory } = await import('../directory/session.ts');
  return await inDirectory(plan, limitMs, 'to read', (reached) =>
    inOrganisation(reached, plan, account, settings, terms),
  );
}

async function inOrganisation(
  reached: Reached,
  directory: DirectoryPlan,
  plan: ReturnType<typeof parseTestAccount>,
  settings: Settings,
  { sources, limitMs, isPlatform }: SearchTerms,
): Promise<Found> {
  const { readSurroundings } = await import('../directory/surroundings.ts');
  const surroundings = await readSurroundings(directory, reached);
  const found = plan?.task === 'make' ? nobodyIn(surroundings) : await whomOf(settings, surroundings);
  const sites = new Map(surroundings.servers.map(({ fqdn, site }) => [fqdn, site]));
  if (plan === null) {
    const { homeOfNamed } = await import('./mailbox-server.ts');
    return {
      ...found,
      sites,
      mailboxServer: await homeOfNamed(reached, settings, surroundings, sources),
      account: null,
    };
  }
  const { takeTestAccount } = await import('./test-account.ts');
  const account = await takeTestAccount(reached, { plan, directory, surroundings, settings, limitMs });
  // A platform has no use for rows of what there is no account for.
  const without = isPlatform ? [] : account.without.map(withoutAccount);
  return { ...found, others: [...found.others, ...without], sites, mailboxServer: account.mailboxServer, account };
}

const withoutAccount = ({ fqdn, name }: ExchangeServer): Other => ({
  mailboxServer: fqdn,
  server: '',
  why: new ProbeFailure('test-account-missing', `no test account is at home on the Mailbox server ${name}`, {
    phase: 'directory',
  }),
  isSkipped: true,
});

async function whomOf(settings: Settings, surroundings: Surroundings): Promise<Placed> {
  const named = (settings[SERVER] as readonly string[] | undefined) ?? [];
  if (named.length > 0) return byIdentity(named.flatMap(serversIn), surroundings);
  // A file of targets says whom to test; the directory then says in which site we are.
  return settings.targets !== undefined ? nobodyIn(surroundings) : bySite(surroundings);
}

const nobodyIn = ({ localSite }: Surroundings): Placed => ({ entries: [], others: [], localSite });

type Placed = Pick<Found, 'entries' | 'others' | 'localSite'>;

const entryOf = ({ fqdn }: ExchangeServer): Settings => ({ [SERVER]: fqdn });

/** A host name or an address says itself whom to test, where there is no Exchange to say it. */
const isHost = (given: string): boolean => /^[^=]*[.:][^=]*$/.test(given);

async function byIdentity(named: readonly string[], { servers, noServers, localSite }: Surroundings): Promise<Placed> {
  if (noServers !== null) {
    if (!named.every(isHost)) throw noServers;
    return { entries: named.map((server) => ({ [SERVER]: server })), others: [], localSite };
  }
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
function bySite({ servers, noServers, site, localSite, controller }: Surroundings): Placed {
  if (noServers !== null) throw noServers;
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
  if (entries.length > 0) return { ...NO_DIRECTORY, entries };
  const why = troubles.length === 0 ? 'DNS says that it has no POP3' : troubles.join('; ');
  throw new ProbeFailure('configuration', `--discover-srv ${domain}: ${why}`);
}

const NO_DIRECTORY = {
  others: [],
  localSite: null,
  sites: new Map<string, null>(),
  mailboxServer: null,
  account: null,
};

/** No such name, no such record: DNS has answered. */
const MISSING: readonly string[] = ['ENOTFOUND', 'ENODATA'];
