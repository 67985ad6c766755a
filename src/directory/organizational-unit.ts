import { ProbeFailure } from '../dialogue/failure.ts';
import { isSame, nameOf, partsOf } from './entry.ts';
import { type Directory, LdapRefusal } from './ldap.ts';

/** Where Exchange's own script puts the test account if nothing else is said. */
const USUAL_UNIT = 'Users';

/**
 * Finds the organizational unit somebody means, by its name or its distinguished name. The containers of the domain itself, such
 * as `CN=Users`, are taken for units too.
 *
 * @param given null for the usual one
 * @returns its distinguished name
 * @throws ProbeFailure `configuration`: there is none, or more than one, with all of them
 */
export async function unitBy(directory: Directory, given: string | null): Promise<string> {
  const name = given ?? USUAL_UNIT;
  const domain = directory.root.text('defaultNamingContext') as string;
  const found = partsOf(name).length > 1 ? await byDn(directory, name) : await byName(directory, domain, name);
  const [only, ...others] = found;
  if (only === undefined) throw refused(`there is no organizational unit ${name} in the domain`);
  if (others.length === 0) return only;
  const which = given === null ? `the usual one, ${name}, is` : `${name} is`;
  throw refused(`${which} more than one organizational unit, give one of: ${found.join('; ')}`);
}

const refused = (why: string): ProbeFailure =>
  new ProbeFailure('configuration', `--ou: ${why}`, { phase: 'directory' });

const CLASSES = ['organizationalUnit', 'container'] as const;

async function byDn({ search }: Directory, dn: string): Promise<readonly string[]> {
  try {
    for (const objectClass of CLASSES) {
      const found = await search(dn, { scope: 'base', where: { objectClass }, attributes: ['name'] });
      if (found.length > 0) return found.map((entry) => entry.dn);
    }
    return [];
  } catch (problem) {
    if (problem instanceof LdapRefusal && NOT_THERE.includes(problem.code)) return [];
    throw problem;
  }
}

/** No such object, no such form of a name, and in Active Directory a name of another domain. */
const NOT_THERE: readonly number[] = [32, 34, 10];

async function byName({ search }: Directory, domain: string, name: string): Promise<readonly string[]> {
  const units = await search(domain, {
    scope: 'sub',
    where: { objectClass: CLASSES[0], ou: name },
    attributes: ['ou'],
  });
  const containers = await search(domain, {
    scope: 'one',
    where: { objectClass: CLASSES[1], cn: name },
    attributes: ['cn'],
  });
  const all = [...units, ...containers].filter(({ dn }) => nameOf(dn).toLowerCase() === name.toLowerCase());
  // An object may be both.
  return all.map(({ dn }) => dn).filter((dn, at, dns) => dns.findIndex((other) => isSame(dn, other)) === at);
}
