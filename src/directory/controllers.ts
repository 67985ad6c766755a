import { ProbeFailure } from '../dialogue/failure.ts';
import { servicesOf } from '../runtimes/node/srv.ts';

/**
 * The domain controllers of a domain, the best first (MS-ADTS §6.3.2.3).
 *
 * @param site those of a site alone, or null for all
 * @throws ProbeFailure `directory-unreachable` where DNS knows none
 */
export async function controllersOf(domain: string, site: string | null): Promise<readonly string[]> {
  const name = `_ldap._tcp.${site === null ? '' : `${site}._sites.`}dc._msdcs.${domain}`;
  let why: string;
  try {
    const found = await servicesOf(name);
    if (found.length > 0) return found.map(({ host }) => host);
    why = 'there is none';
  } catch (problem) {
    why = (problem as Error).message;
  }
  throw new ProbeFailure('directory-unreachable', `no domain controller of ${domain}: ${name} in DNS: ${why}`, {
    phase: 'directory',
  });
}
