import { utf8 } from '../dialogue/bytes.ts';
import { type ProbeFailure, usage } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { hasControl } from '../pop3/line.ts';
import type { ProxyPlan } from '../probe/world.ts';
import type { PasswordCredential } from '../sasl/mechanism.ts';
import { parseHost } from './host.ts';
import type { Sources } from './sources.ts';

/**
 * Reads a proxy: `socks5://[USER:PASSWORD@]HOST[:PORT]`, `socks5h://` (the same: names are always left to it) or
 * `http://`, or `@FILE` with such a line in it. User name and password are percent-encoded where they must (RFC 3986
 * §2.1).
 *
 * @param option what a refusal names
 * @throws ProbeFailure `usage` or `configuration`, which never repeats what was given: there may be a password in it
 */
export function parseProxy(option: string, given: string, sources: Sources): ProxyPlan {
  const url = given.startsWith('@') ? sources.file(option, given.slice(1), 'secret').replace(/\r?\n$/, '') : given;
  const [, scheme = '', authority = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^\r\n]*?)\/?$/i.exec(url) ?? [];
  const known = SCHEMES[scheme.toLowerCase()];
  if (known === undefined) throw refuse(option, REFUSED_SCHEMES[scheme.toLowerCase()] ?? '');
  // The last one: a password may have been written with an @ in it.
  const at = authority.lastIndexOf('@');
  const server = authority.slice(at + 1);
  const [host, port] = split(server);
  // Without its brackets an IPv6 address may end in a port, or not.
  if (host.includes(':') && !server.startsWith('[')) throw refuse(option, NO_HOST);
  return {
    kind: known.kind,
    to: parseProxyHost(option, host, sources),
    port: port === null ? known.port : parsePort(option, port),
    credential: at < 0 ? null : parseUser(option, authority.slice(0, at), known.kind),
  };
}

/** Whether a proxy was given with a password in plain sight, and not as `@FILE`. */
export const showsProxyPassword = (given: string): boolean => !given.startsWith('@') && /:\/\/[^:]*:.*@/.test(given);

/**
 * The proxy that the environment has for an HTTPS server: `https_proxy` or, where that is not set, `HTTPS_PROXY`, unless
 * `no_proxy` or `NO_PROXY` has the server. A proxy without a scheme is an HTTP proxy, as for every other program.
 *
 * @param host a name in the form of DNS, or an address, without brackets
 * @throws ProbeFailure `usage` or `configuration`, naming the variable
 */
export function proxyFromEnvironment(host: string, port: number, sources: Sources): ProxyPlan | null {
  const name = [PROXY.toLowerCase(), PROXY].find((each) => sources.environment(each) !== undefined);
  const given = name === undefined ? '' : (sources.environment(name) as string);
  const except = sources.environment('no_proxy') ?? sources.environment('NO_PROXY') ?? '';
  if (given === '' || isExcepted(host, port, except)) return null;
  // An @ is no file there.
  return parseProxy(name as string, given.includes('://') ? given : `http://${given}`, sources);
}

const PROXY = 'HTTPS_PROXY';

/**
 * Whether NO_PROXY has a server. Nothing defines it; this is how Go has it, and for the most part curl and Python: `*`;
 * a name, with all that is below it; `.example.com`, what is below alone; an address; each with or without a port.
 */
function isExcepted(host: string, port: number, except: string): boolean {
  const wanted = host.toLowerCase().replace(/\.$/, '');
  return except.split(/[\s,]+/).some((entry) => {
    const [name, only] = split(entry.toLowerCase().replace(/^\*(?=\.)/, ''));
    if (name === '' || (only !== null && only !== String(port))) return false;
    if (name === '*' || name === wanted) return true;
    const isAddress = wanted.includes(':') || /^[\d.]+$/.test(wanted);
    return !isAddress && wanted.endsWith(name.startsWith('.') ? name : `.${name}`);
  });
}

/** What HTTPS_PROXY and NO_PROXY have for a URL. */
export function environmentProxy(url: string, sources: Sources): ProxyPlan | null {
  const [, host = '', port = '443'] = /^https:\/\/(\[[^\]]*\]|[^/:?#]*)(?::(\d+))?/i.exec(url) ?? [];
  return proxyFromEnvironment(host.replace(/^\[|\]$/g, ''), Number(port), sources);
}

/** RFC 1928 §3 has the port of SOCKS; an HTTP proxy without one is on that of its URL: Go, Python and .NET have it so. */
const SCHEMES: Readonly<Record<string, { readonly kind: ProxyPlan['kind']; readonly port: number }>> = {
  socks5: { kind: 'socks5', port: 1080 },
  socks5h: { kind: 'socks5', port: 1080 },
  http: { kind: 'http', port: 80 },
};

const REFUSED_SCHEMES: Readonly<Record<string, string>> = {
  https: '; a proxy that is itself spoken to in TLS is not supported',
  socks: '; say which SOCKS: only 5 is supported',
  socks4: '; only SOCKS 5 is supported',
  socks4a: '; only SOCKS 5 is supported',
};

function refuse(option: string, why: string): ProbeFailure {
  return usage(
    `${option} takes socks5://HOST:PORT or http://HOST:PORT, with USER:PASSWORD@ before HOST, or @FILE${why}`,
  );
}

/** Host and port; a bare IPv6 address has none. */
function split(authority: string): readonly [string, string | null] {
  const [, bracketed, host = '', port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/.exec(authority) ?? [];
  if (bracketed === undefined && host === '') return [authority, null];
  return [bracketed ?? host, port ?? null];
}

function parseProxyHost(option: string, given: string, sources: Sources): ProxyPlan['to'] {
  try {
    const { ascii, address } = parseHost(option, given, sources);
    return address ?? ascii;
  } catch {
    // Its words repeat what was given, and that may be a password where a host should be.
    throw refuse(option, NO_HOST);
  }
}

const NO_HOST = '; the host cannot be read';

function parsePort(option: string, given: string): number {
  const port = /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (port < 1 || port > 65_535) throw refuse(option, '; the port is a number from 1 to 65535');
  return port;
}

/** RFC 1929 §2: 1 to 255 octets each. RFC 7617 §2: no colon in the user name. */
function parseUser(option: string, given: string, kind: ProxyPlan['kind']): PasswordCredential {
  const colon = given.indexOf(':');
  const userName = decoded(option, colon < 0 ? given : given.slice(0, colon));
  const password = decoded(option, colon < 0 ? '' : given.slice(colon + 1));
  if (userName === '') throw refuse(option, '; the user name is empty');
  if (hasControl(userName) || hasControl(password)) throw refuse(option, `; ${USER} has a control character`);
  if (kind === 'http' && userName.includes(':')) throw refuse(option, '; the user name must not have a colon');
  if (kind === 'socks5' && password === '') throw refuse(option, '; the password is empty');
  if (kind === 'socks5' && [userName, password].some((each) => utf8(each).length > 255)) {
    throw refuse(option, `; ${USER} is longer than SOCKS 5 has it`);
  }
  return { kind: 'password', userName, password: new Secret(password) };
}

const USER = 'the user name or password';

function decoded(option: string, given: string): string {
  try {
    return decodeURIComponent(given);
  } catch {
    throw refuse(option, `; ${USER} is not percent-encoded as it should be (write % as %25)`);
  }
}
