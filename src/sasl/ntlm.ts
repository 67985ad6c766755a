import { join, leastFirst, utf8 } from '../dialogue/bytes.ts';
import type { Dialogue } from '../dialogue/dialogue.ts';
import { ProbeFailure } from '../dialogue/failure.ts';
import { md4 } from './md4.ts';
import { conclude, type Mechanism, type PasswordCredential } from './mechanism.ts';

/**
 * NTLM ([MS-NLMP], carried as [MS-OXPOP3] §2.2 has it): version 2 alone, without session security. A user name may be
 * `DOMAIN\user` or `user@domain`.
 */
export const ntlm: Mechanism<PasswordCredential> = {
  name: 'NTLM',
  takes: 'password',
  rank: 'digest',
  inTwoLines: true,
  *authenticate({ userName, password }, exchange) {
    const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Dialogue<Uint8Array> =>
      exchange.compute({ compute: 'hmac', algorithm: 'md5', key, octets: join(...parts) });
    const { user, domain } = partsOf(userName);

    const said = yield* exchange.respond(join(SIGNATURE, leastFirst(1), leastFirst(FLAGS), field(0, 0), field(0, 0)));
    if (said === null) throw new ProbeFailure('protocol-violation', 'the server accepted NTLM without any answer');
    const challenge = readChallenge(said);
    if (challenge instanceof ProbeFailure) return yield* exchange.cancel(challenge);

    // §3.3.2: a key, and an answer for each of the two places there are for one.
    const key = yield* hmac(md4(utf16(password.reveal())), utf16(upperCase(user) + domain));
    const ours = yield* exchange.compute({ compute: 'random', length: 8 });
    const time = challenge.time ?? (yield* exchange.compute({ compute: 'filetime' }));
    const blob = join(Uint8Array.of(1, 1), zeros(6), time, ours, zeros(4), challenge.target, zeros(4));
    const nt = join(yield* hmac(key, challenge.nonce, blob), blob);
    // §3.1.5.1.2: a server that tells its time wants nothing in the older place.
    const lm = challenge.time === null ? join(yield* hmac(key, challenge.nonce, ours), ours) : zeros(24);
    yield* conclude(exchange, answer(challenge.flags & FLAGS, [lm, nt, utf16(domain), utf16(user)]));
  },
};

/** What every message begins with (§2.2.1). */
const SIGNATURE = utf8('NTLMSSP\0');

/** §2.2.2.5, by the letters there. */
const UNICODE = 0x1; // A
const TARGET_INFO = 0x800000; // S
const FLAGS = UNICODE | 0x4 /* C */ | 0x200 /* H */ | 0x8000 /* M */ | 0x80000; // P

/** With `user@domain` the domain field stays empty: it is part of the name. */
function partsOf(userName: string): { readonly user: string; readonly domain: string } {
  const at = userName.indexOf('\\');
  return { domain: userName.slice(0, Math.max(0, at)), user: userName.slice(at + 1) };
}

/** Unit by unit, as Windows has it: `ß` stays what it is. */
const upperCase = (name: string): string =>
  name.replace(/[\s\S]/g, (unit) => (unit.toUpperCase().length === 1 ? unit.toUpperCase() : unit));

interface Challenge {
  readonly flags: number;
  readonly nonce: Uint8Array;
  /** What it tells of itself, pair by pair, to be sent back as it is; empty where it tells nothing. */
  readonly target: Uint8Array;
  /** Its time, where that is among it. */
  readonly time: Uint8Array | null;
}

/** CHALLENGE_MESSAGE (§2.2.1.2): where everything is, is for the server to say, and is believed of nothing. */
function readChallenge(said: Uint8Array): Challenge | ProbeFailure {
  const malformed = new ProbeFailure('protocol-violation', 'the challenge of NTLM is malformed');
  const view = viewOf(said);
  if (said.length < 32 || SIGNATURE.some((octet, at) => said[at] !== octet) || view.getUint32(8, true) !== 2)
    return malformed;
  const flags = view.getUint32(20, true);
  if ((flags & UNICODE) === 0) return new ProbeFailure('protocol-violation', 'the server has NTLM without Unicode');
  const told = { flags, nonce: said.subarray(24, 32) };
  const name = payload(said, 12);
  if (name === null) return malformed;
  if ((flags & TARGET_INFO) === 0) return { ...told, target: zeros(0), time: null };
  const target = payload(said, 40);
  const time = target === null ? undefined : timeIn(target);
  return target === null || time === undefined ? malformed : { ...told, target, time };
}

/** What a field points at; null where that is not in the message. */
function payload(message: Uint8Array, at: number): Uint8Array | null {
  if (at + 8 > message.length) return null;
  const view = viewOf(message);
  const [length, offset] = [view.getUint16(at, true), view.getUint32(at + 4, true)];
  return offset + length > message.length ? null : message.subarray(offset, offset + length);
}

/** AV_PAIR (§2.2.2.1). */
const END_OF_LIST = 0;
const TIMESTAMP = 7;

/** The time among the pairs, null where there is none; undefined where they are malformed. */
function timeIn(pairs: Uint8Array): Uint8Array | null | undefined {
  const view = viewOf(pairs);
  let time: Uint8Array | null = null;
  for (let at = 0; at + 4 <= pairs.length; ) {
    const [id, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (id === END_OF_LIST) return time;
    if (id === TIMESTAMP && length !== 8) return undefined;
    if (id === TIMESTAMP) time = pairs.subarray(at + 4, at + 12);
    at += 4 + length;
  }
  return undefined;
}

/** AUTHENTICATE_MESSAGE (§2.2.1.3); the name of this machine and a session key stay empty. */
function answer(flags: number, parts: readonly Uint8Array[]): Uint8Array {
  const payloads = [...parts, zeros(0), zeros(0)];
  let offset = 64;
  const fields = payloads.map(({ length }) => {
    offset += length;
    return field(length, offset - length);
  });
  return join(SIGNATURE, leastFirst(3), ...fields, leastFirst(flags), ...payloads);
}

/** Length, room and place of a payload. */
const field = (length: number, offset: number): Uint8Array => join(leastFirst(length * 0x10001), leastFirst(offset));

const zeros = (length: number): Uint8Array => new Uint8Array(length);

function utf16(text: string): Uint8Array {
  const octets: number[] = [];
  for (let at = 0; at < text.length; at++) octets.push(text.charCodeAt(at) & 0xff, text.charCodeAt(at) >> 8);
  return Uint8Array.from(octets);
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
