import { ProbeFailure } from '../dialogue/failure.ts';
import { isSame, nameOf, partsOf } from './entry.ts';
import { type Directory, LdapRefusal } from './ldap.ts';

/** Where Exchange's own script puts the test account if nothing else is said. */
export const USUAL_UNIT = 'Users';

/**
 * Finds the organizational unit somebody means, by its name or its distinguished name. The containers of the domain itself, such
 * as `CN=Users`, are taken for units too.
 *
 * @returns its distinguished name
 * @throws ProbeFailure `configuration`: there is none, or more than one, with all of them
 */
export async function unitBy(directory: Directory, given: string): Promise<string> {
  const domain = directory.root.text('defaultNamingContext') as string;
  const found = partsOf(given).length > 1 ? await byDn(directory, given) : await byName(directory, domain, given);
  const [only, ...others] = found;
  if (only === undefined) throw refused(`there is no organizational unit ${given} in the domain`);
  if (others.length === 0) return only;
  throw refused(`${given} is more than one organizational unit, give one of: ${found.join('; ')}`);
}

const refused = (why: string): ProbeFailure =>
  new ProbeFailure('configuration', `--ou: ${why}`, { phase: 'directory' });

async function byDn({ search }: Directory, dn: string): Promise<readonly string[]> {
  try {
    return (await search(dn, { scope: 'base', where: {}, attributes: ['name'] })).map((entry) => entry.dn);
  } catch (problem) {
    // No such object, no such form of a name.
    if (problem instanceof LdapRefusal && [32, 34].includes(problem.code)) return [];
    throw problem;
  }
}

async function byName({ search }: Directory, domain: string, name: string): Promise<readonly string[]> {
  const units = await search(domain, {
    scope: 'sub',
    where: { objectClass: 'organizationalUnit', ou: name },
    attributes: ['ou'],
  });
  const containers = await search(domain, {
    scope: 'one',
    where: { objectClass: 'container', cn: name },
    attributes: ['cn'],
  });
  // A search below the domain may meet an object twice where it is both.
  const all = [...units, ...containers].filter(({ dn }) => nameOf(dn).toLowerCase() === name.toLowerCase());
  return all.map(({ dn }) => dn).filter((dn, at, dns) => dns.findIndex((other) => isSame(dn, other)) === at);
}
