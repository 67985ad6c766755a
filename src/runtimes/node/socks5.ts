import { join, utf8 } from '../../dialogue/bytes.ts';
import type { Address } from '../../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../../dialogue/failure.ts';
import type { PasswordCredential } from '../../sasl/mechanism.ts';
import { type ProxyTalk, proxyFailed, serverFailed } from './proxy-talk.ts';

/*
 * SOCKS 5 (RFC 1928) with a user name and password (RFC 1929). Not by the library `socks`, which takes our connection
 * but does everything on it in one go: nobody could tell a proxy that keeps quiet (UNKNOWN) from a server that does not
 * answer it (CRITICAL). It also gives its reasons in words alone, and what came behind the last answer as an event,
 * which TLS does not hear.
 */

const VERSION = 5;
const NO_LOGON = 0;
const PASSWORD = 2;
const NONE_ACCEPTABLE = 0xff;
const CONNECT = 1;

/** Agrees on how we log on, and does (RFC 1928 §3). */
export async function enter(talk: ProxyTalk, credential: PasswordCredential | null): Promise<void> {
  const methods = credential === null ? [NO_LOGON] : [NO_LOGON, PASSWORD];
  talk.say(Uint8Array.of(VERSION, methods.length, ...methods));
  const [version] = await talk.take(1);
  if (version !== VERSION) throw proxyFailed(NO_SOCKS);
  const [method] = await talk.take(1);
  if (method === NONE_ACCEPTABLE) {
    throw proxyFailed(
      credential === null
        ? 'the proxy wants a user name and password'
        : 'the proxy takes neither a user name and password nor nobody',
    );
  }
  if (method === NO_LOGON) return;
  if (method !== PASSWORD || credential === null) throw proxyFailed('the proxy wants a logon that was not offered');
  talk.say(
    join(Uint8Array.of(1), sized('user name', credential.userName), sized('password', credential.password.reveal())),
  );
  const answer = await talk.take(2); // RFC 1929 §2; the version in it is often wrong
  if (answer[1] !== 0) throw proxyFailed('the proxy does not accept the user name and password');
}

const NO_SOCKS = 'what answers there is no SOCKS 5 proxy';

/** Has a server connected to (RFC 1928 §4-6). */
export async function connect(talk: ProxyTalk, to: string | Address, port: number): Promise<void> {
  const target = typeof to === 'string' ? [Uint8Array.of(DOMAIN), sized('name of the server', to)] : addressed(to);
  talk.say(join(Uint8Array.of(VERSION, CONNECT, 0), ...target, Uint8Array.of(port >> 8, port & 0xff)));
  const [version, reply = 0] = await talk.take(2);
  if (version !== VERSION) throw proxyFailed(NO_SOCKS);
  // A refusal may be no longer than this.
  if (reply !== 0) throw refusal(reply, typeof to === 'string');
  // The proxy's own address on that connection: of no use, but in the way.
  const [, type = 0] = await talk.take(2);
  const length = type === DOMAIN ? (await talk.take(1))[0] : ADDRESS_LENGTHS[type];
  if (length === undefined) throw proxyFailed('the proxy’s answer is no SOCKS 5');
  await talk.take(length + 2);
}

const IPV4 = 1;
const DOMAIN = 3;
const IPV6 = 4;
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { [IPV4]: 4, [IPV6]: 16 };

/** RFC 1928 §6: what is said of the server, and what of us. */
const ABOUT_SERVER: Readonly<Record<number, readonly [Reason, string]>> = {
  3: ['unreachable', 'the proxy has no route to the network'],
  4: ['unreachable', 'the proxy has no route to the host'],
  5: ['connection-refused', 'the server refused the proxy’s connection'],
  6: ['unreachable', 'the proxy’s packets did not get as far as the server (TTL expired)'],
};
const ABOUT_US: Readonly<Record<number, string>> = {
  1: 'the proxy failed, and does not say why',
  2: 'the proxy’s rules do not allow this connection',
  7: 'the proxy does not connect for others',
  8: 'the proxy does not know this kind of address',
};
const HOST_UNREACHABLE = 4;
const GENERAL_FAILURE = 1;

function refusal(reply: number, wasNamed: boolean): ProbeFailure {
  const [reason, words] = ABOUT_SERVER[reply] ?? [];
  const number = `(SOCKS reply ${reply})`;
  if (reason !== undefined) {
    const perhaps = wasNamed && reply === HOST_UNREACHABLE ? ', or cannot resolve its name' : '';
    return serverFailed(reason, `${words}${perhaps} ${number}`);
  }
  const perhaps = wasNamed && reply === GENERAL_FAILURE ? '; it may not be able to resolve the name' : '';
  return proxyFailed(`${ABOUT_US[reply] ?? 'the proxy refused'}${perhaps} ${number}`);
}

/** A text after its length in one octet. */
function sized(what: string, text: string): Uint8Array {
  const octets = utf8(text);
  if (octets.length === 0 || octets.length > 255) {
    throw new ProbeFailure('configuration', `SOCKS 5 takes a ${what} of 1 to 255 octets, not ${octets.length}`);
  }
  return join(Uint8Array.of(octets.length), octets);
}

function addressed({ address, family }: Address): readonly Uint8Array[] {
  if (family === 4) return [Uint8Array.of(IPV4), Uint8Array.from(address.split('.'), Number)];
  const [before = [], after = []] = address.split('::').map(octetsOf);
  const zeros = new Array<number>(16 - before.length - after.length).fill(0);
  return [Uint8Array.of(IPV6), Uint8Array.from([...before, ...zeros, ...after])];
}

/** The octets of the groups of an IPv6 address, which may end in one of IPv4 (RFC 4291 §2.2). */
function octetsOf(groups: string): readonly number[] {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
