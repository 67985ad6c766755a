import { utf8 } from '../dialogue/bytes.ts';
import { type Dialogue, type Phase, type Recipe, Slot } from '../dialogue/dialogue.ts';

/** What makes a message recognisably one of ours: the run that sent it, when, and until when nobody else may touch it. */
export interface Marker {
  /** The run's unguessable name, 16 hexadecimal digits. */
  readonly run: string;
  /** Seconds since 1970, on the sender's clock. */
  readonly sentAt: number;
  /** Seconds since 1970: from then on any run that shares the key may delete the message. */
  readonly expiresAt: number;
}

/** Who signs: the key, and the mailbox the messages are for, so that a marker means nothing in another mailbox. */
export interface Seal {
  readonly key: Uint8Array;
  /** The recipient's address. */
  readonly recipient: string;
}

/** The shortest key that is one: RFC 2104 §3 wants no less than the length of the hash. */
export const SHORTEST_KEY = 32;

/** 64 bits: enough that no two runs ever share a name, few enough for a short subject. */
export const RUN_OCTETS = 8;

export const runName = (octets: Uint8Array): string => hexadecimal(octets);

/** How a marker is signed: HMAC-SHA-256 (RFC 2104) over what it says and the mailbox it is for. */
export function signing(marker: Marker, { key, recipient }: Seal): Recipe {
  const signed = ['pop-connectivity marker 1', unsigned(marker), recipient.toLowerCase()].join('\n');
  return { compute: 'hmac', algorithm: 'sha256', key, octets: utf8(signed) };
}

/**
 * A marker as it is written, 63 characters without a blank, an equals sign or anything else a mail system might
 * rewrite: run, times in base 36, and the first half of the signature (RFC 2104 §5 allows no less).
 *
 * @param signature what the recipe of `signing` comes to
 */
export function spelt(marker: Marker, signature: Uint8Array): string {
  return `${unsigned(marker)}-${hexadecimal(signature.subarray(0, SIGNATURE_OCTETS))}`;
}

const SIGNATURE_OCTETS = 16;
const SPELT = /^([0-9a-f]{16})-([0-9a-z]{6,8})-([0-9a-z]{6,8})-([0-9a-f]{32})$/;

/**
 * The marker a text spells, or null where it is none, or not signed with our key for our mailbox.
 *
 * @param phase what the computation is booked on
 */
export function* verified(foreign: string, seal: Seal, phase: Phase): Dialogue<Marker | null> {
  const [, run, sent, expires] = SPELT.exec(foreign) ?? [];
  if (run === undefined || sent === undefined || expires === undefined) return null;
  const marker = { run, sentAt: Number.parseInt(sent, 36), expiresAt: Number.parseInt(expires, 36) };
  const slot = new Slot<Uint8Array>();
  yield { want: 'derive', phase, recipe: signing(marker, seal), slot };
  return spelt(marker, slot.take()) === foreign ? marker : null;
}

const unsigned = ({ run, sentAt, expiresAt }: Marker): string =>
  [run, sentAt.toString(36), expiresAt.toString(36)].join('-');

const hexadecimal = (octets: Uint8Array): string =>
  Array.from(octets, (octet) => (octet < 16 ? '0' : '') + octet.toString(16)).join('');
