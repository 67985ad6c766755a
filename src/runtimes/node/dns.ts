import type { Resolver } from 'node:dns';
import type { Readable } from 'node:stream';
import type { Address } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import { parseAddress } from './address.ts';
import { builtin } from './builtin.ts';
import { failureOf } from './errors.ts';

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
  let isAbandoned = false;
  const done = new Promise<readonly Address[]>((resolve, reject) => {
    const useThread = (): void => void byThread(name, family).done.then(resolve, reject);
    let listed = '';
    // Without a file descriptor left there is no child, and no output of it.
    (child.stdout as Readable | undefined)?.on('data', (octets: Uint8Array) => {
      listed += String(octets);
    });
    child.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'ENOENT') useThread();
      else reject(failureOf(error, 'getent: '));
    });
    child.on('close', (code) => {
      const found = addressesIn(listed).filter((each) => family === 0 || each.family === family);
      if (isAbandoned) return;
      if (found.length > 0) resolve(found);
      else if (code === 0)
        reject(lookupFailure(name, 'ENODATA')); // addresses of the other family
      else if (code === GETENT_NOT_FOUND) askWhy(resolver, name).then(reject);
      else useThread();
    });
  });
  const abandon = (): void => {
    isAbandoned = true;
    // Never without a process id: kill(0) is meant for the whole process group.
    if (child.pid !== undefined) child.kill('SIGKILL');
    resolver.cancel();
  };
  return { done, abandon };
}

/** getent(1): the key is not in the database. It says the same when no resolver answers. */
const GETENT_NOT_FOUND = 2;

/** What getent does not tell: "no such name" from "no answer". */
function askWhy(resolver: Resolver, name: string): Promise<ProbeFailure> {
  return new Promise((resolve) => {
    resolver.resolve4(name, (error) => resolve(lookupFailure(name, error?.code ?? 'ENODATA')));
  });
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
