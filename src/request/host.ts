import type { Address } from '../dialogue/dialogue.ts';
import { usage } from '../dialogue/failure.ts';
import { hasControl } from '../pop3/line.ts';
import type { Sources } from './sources.ts';

/** A server as a user names it. */
export interface Host {
  /** As the user wrote it. */
  readonly shown: string;
  /** In the form DNS and certificates have it (RFC 5890), or the address. */
  readonly ascii: string;
  readonly address: Address | null;
}

/**
 * Reads a host name or an IP address.
 *
 * @throws ProbeFailure `usage`
 */
export function parseHost(option: string, given: unknown, sources: Sources): Host {
  if (typeof given !== 'string' || given === '')
    throw usage(`no server: give ${option} HOST${option === '--client-access-server' ? ' (-H)' : ''}`);
  const bare = /^\[([^\]]*:[^\]]*)\]$/.exec(given)?.[1] ?? given;
  const family = sources.family(bare);
  if (family === 4 || family === 6) return { shown: bare, ascii: bare, address: { address: bare, family } };
  // Only an international name is converted, and only a name: the conversion would drop or cut what else there is.
  const isForeign = /^[^\s/?#@\\%:]+$/.test(bare) && !hasControl(bare) && !/^[\x21-\x7e]+$/.test(bare);
  const ascii = isForeign ? sources.ascii(bare) : bare;
  const labels = ascii.replace(/\.$/, '').split('.');
  const isName =
    ascii.length <= 254 && labels.every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
  // A number at the end is a mistyped address: getaddrinfo would read `10.1` and `0x7f.1` as 10.0.0.1 and 127.0.0.1.
  if (!isName || /^(?:\d+|0x[0-9a-f]*)$/i.test(labels[labels.length - 1] as string)) {
    const port = /^[^:]+:\d+$/.test(bare) ? '; the port goes with -p' : '';
    throw usage(`${option} takes a host name or an IP address, not ${JSON.stringify(given)}${port}`);
  }
  return { shown: bare, ascii, address: null };
}
