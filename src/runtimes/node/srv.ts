import { builtin } from './builtin.ts';

/** Where a service is, by an SRV record. */
export interface ServiceLocation {
  readonly host: string;
  readonly port: number;
}

const PATIENCE_MS = 2000;
const TRIES = 2;

/**
 * The places of a service in the order they are to be tried (RFC 2782): by priority, within one by weight. Here the
 * heavier comes first, always: a test that goes elsewhere each time tells nothing by its trend.
 *
 * @param name `_pop3s._tcp.example.com`
 * @returns none where the service is decidedly not there (a single record with the target `.`)
 * @throws Error with the words of the resolver
 */
export async function servicesOf(name: string): Promise<readonly ServiceLocation[]> {
  const resolver = new (builtin.dns().promises.Resolver)({ timeout: PATIENCE_MS, tries: TRIES });
  let records: Awaited<ReturnType<typeof resolver.resolveSrv>>;
  try {
    records = await resolver.resolveSrv(name);
  } catch (error) {
    const { code = '' } = error as { code?: string };
    throw Object.assign(new Error(WORDS[code] ?? `the resolver said ${code}`), { code });
  }
  return records
    .filter(({ name: host }) => host !== '' && host !== '.')
    .sort((a, b) => a.priority - b.priority || b.weight - a.weight)
    .map(({ name: host, port }) => ({ host, port }));
}

const WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'there is no SRV record',
  ETIMEOUT: 'no name server answers',
  ECONNREFUSED: 'no name server answers',
  ESERVFAIL: 'the name server failed',
};
