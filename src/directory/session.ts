import { ProbeFailure } from '../dialogue/failure.ts';
import type { DirectoryPlan } from '../request/directory.ts';
import { type Hold, holding } from '../runtimes/node/reach.ts';
import { controllersOf } from './controllers.ts';
import { type Directory, type DirectoryTerms, openDirectory } from './ldap.ts';
import { type LdapPing, NT_VERSION, readPing } from './netlogon.ts';

/** A domain controller that let us in. */
export interface Reached {
  readonly directory: Directory;
  /** What it said of sites; null where it does not answer that. */
  readonly ping: LdapPing | null;
  /** How it was reached. */
  readonly terms: DirectoryTerms;
  readonly hold: Hold;
  /** How long all of it may take. */
  readonly limitMs: number;
}

/** What is done there: a domain controller near by may be one that only reads (RODC). */
export type Purpose = 'to read' | 'to write';

/**
 * Goes to a domain controller, does something there, and leaves, however that ends.
 *
 * @param limitMs how long all of it may take
 * @throws ProbeFailure of the phase `directory`, and what `work` throws
 */
export async function inDirectory<T>(
  plan: DirectoryPlan,
  limitMs: number,
  purpose: Purpose,
  work: (reached: Reached) => Promise<T>,
): Promise<T> {
  const { hold, letGo } = holding();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const failure = new ProbeFailure(
      'directory-unreachable',
      `no answer within ${Number((limitMs / 1000).toFixed(1))} s`,
      {
        phase: 'directory',
      },
    );
    timer = setTimeout(() => reject(failure), limitMs);
  });
  try {
    const found = nearest(plan, purpose, hold).then((reached) => work({ ...reached, limitMs }));
    return await Promise.race([found, late]);
  } finally {
    clearTimeout(timer);
    letGo();
  }
}

/** `DC=example,DC=com` is `example.com`. */
export const domainOf = (dn: string): string => dn.replace(/,?\s*DC=/gi, '.').replace(/^\./, '');

type Found = Omit<Reached, 'limitMs'>;

/** The domain controller that was named, else one of the domain, of our own site if it has one. */
async function nearest(plan: DirectoryPlan, purpose: Purpose, hold: Hold): Promise<Found> {
  if (plan.controller !== null) return reached(plan, plan.controller, hold);
  const domain = plan.domain as string;
  const first = await firstOf(plan, await controllersOf(domain, null), hold);
  const { ping } = first;
  // One that only reads has no name but that of its site (MS-ADTS §6.3.2.3).
  if (purpose === 'to write') return first;
  if (ping === null || ping.clientSite === '' || ping.clientSite === ping.controllerSite) return first;
  const near = await controllersOf(domain, ping.clientSite).catch(() => []);
  if (near.length === 0) return first;
  first.directory.close();
  return firstOf(plan, near, hold);
}

/** The first that lets us in; a refusal is one by all of them. */
async function firstOf(plan: DirectoryPlan, controllers: readonly string[], hold: Hold): Promise<Found> {
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

async function reached(plan: DirectoryPlan, controller: string, hold: Hold): Promise<Found> {
  const terms = { ...plan, controller };
  const directory = await openDirectory(terms, hold);
  return { directory, ping: await pinged(directory), terms, hold };
}

/** The LDAP ping (MS-ADTS §6.3.3); a directory that does not answer it is asked for its subnets. */
async function pinged({ root, search }: Directory): Promise<LdapPing | null> {
  const domain = domainOf(root.text('defaultNamingContext') ?? '');
  const where = { DnsDomain: domain, NtVer: NT_VERSION };
  const [answer] = await search('', { scope: 'base', where, attributes: ['netlogon'] }).catch(() => []);
  const [octets] = answer?.values('netlogon') ?? [];
  return octets === undefined ? null : readPing(octets);
}
