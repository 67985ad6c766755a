import type { Address } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import { parseAddress } from './address.ts';
import { builtin } from './builtin.ts';

/** A lookup that can be given up. */
export interface Lookup {
  readonly done: Promise<readonly Address[]>;
  readonly abandon: () => void;
}

/** Lookups under way in Node's own threads; the exit door asks, for Node waits for those threads to end. */
let inThreads = 0;
export const lookupsInThreads = (): number => inThreads;

/**
 * Looks a name up as every other program on this machine does: hosts file, search domains, every name service.
 * That is getaddrinfo(3), which blocks a thread that nothing can interrupt, and Node does not exit before the thread
 * does: with a dead resolver long after the deadline. A Node that can leave all the same (`process.execve`) calls it
 * in its own threads; an older one asks getent(1), which can be killed. docs/decisions/0003 tells more.
 */
export function lookUp(name: string, family: 0 | 4 | 6): Lookup {
  return typeof (process as { execve?: unknown }).execve === 'function'
    ? byThread(name, family)
    : byGetent(name, family);
}

function byThread(name: string, family: 0 | 4 | 6): Lookup {
  const done = new Promise<readonly Address[]>((resolve, reject) => {
    inThreads++;
    builtin.dns().lookup(name, { all: true, family, verbatim: true }, (error, addresses) => {
      inThreads--;
      if (error !== null) reject(lookupFailure(name, error.code));
      else resolve(addresses.map(({ address }) => parseAddress(address)).filter(isAddress));
    });
  });
  return { done, abandon: () => undefined };
}

function byGetent(name: string, family: 0 | 4 | 6): Lookup {
  const resolver = new (builtin.dns().Resolver)();
  const child = builtin.childProcess().spawn('getent', ['ahosts', name], { stdio: ['ignore', 'pipe', 'ignore'] });
  const done = new Promise<readonly Address[]>((resolve, reject) => {
    let listed = '';
    child.stdout.on('data', (octets: Uint8Array) => {
      listed += String(octets);
    });
    child.on('error', () => byThread(name, family).done.then(resolve, reject));
    child.on('close', (code) => {
      if (code === null || code < 0) return;
      const found = addressesIn(listed).filter((each) => family === 0 || each.family === family);
      if (found.length > 0) resolve(found);
      // getent does not tell "no such name" from "no answer"; the resolver library does.
      else resolver.resolve4(name, (error) => reject(lookupFailure(name, error?.code ?? 'ENODATA')));
    });
  });
  const abandon = (): void => {
    child.kill('SIGKILL');
    resolver.cancel();
  };
  return { done, abandon };
}

/** Codes of getaddrinfo and of the resolver library: the name is known not to exist, or to have no address. */
const NOT_FOUND: readonly string[] = ['ENOTFOUND', 'ENODATA'];

/** Whatever else went wrong, the resolver did not say: nothing is known about the mail server. */
function lookupFailure(name: string, code = ''): ProbeFailure {
  return NOT_FOUND.includes(code)
    ? new ProbeFailure('dns-not-found', `${name}: the name has no address (${code})`)
    : new ProbeFailure('dns-unavailable', `${name}: the resolver gave no answer (${code})`);
}

/** The addresses of `getent ahosts`, each once, in the order of getaddrinfo. */
function addressesIn(listed: string): readonly Address[] {
  const first = listed.split('\n').map((line) => line.split(/\s/, 1)[0] as string);
  return Array.from(new Set(first)).map(parseAddress).filter(isAddress);
}

const isAddress = (address: Address | null): address is Address => address !== null;
