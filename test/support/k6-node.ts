import crypto from 'k6/crypto';
import { base64, fromBase64, join, text, utf8 } from '../../src/dialogue/bytes.ts';
import type { HashName } from '../../src/dialogue/dialogue.ts';
import { deriveByWebCrypto, hashWith, memoryOf } from '../../src/runtimes/k6/hashing.ts';

/** What the support of the transcripts uses of Node, made of what k6 has: for the tests that run inside its engine. */

type Encoding = 'utf8' | 'latin1' | 'base64';

const octetsOf: Readonly<Record<Encoding, (spelt: string) => Uint8Array>> = {
  utf8,
  latin1: (spelt) => Uint8Array.from(Array.from(spelt, (character) => character.charCodeAt(0))),
  base64: (spelt) => fromBase64(spelt) ?? new Uint8Array(0),
};

const textOf: Readonly<Record<Encoding, (octets: Uint8Array) => string>> = {
  utf8: text,
  latin1: (octets) => Array.from(octets, (octet) => String.fromCharCode(octet)).join(''),
  base64,
};

/** Octets with a text in any encoding; they are no class of their own, for typed arrays make copies of themselves. */
const spelling = (octets: Uint8Array): Uint8Array =>
  Object.assign(octets.slice(), { toString: (encoding: Encoding = 'utf8') => textOf[encoding](octets) });

export const Buffer = {
  from: (given: string | ArrayLike<number>, encoding: Encoding = 'utf8') =>
    spelling(typeof given === 'string' ? octetsOf[encoding](given) : Uint8Array.from(given)),
  concat: (parts: readonly Uint8Array[]) => spelling(join(...parts)),
};

/** Nobody looks into folders there. */
export const readdirSync = (): readonly string[] => [];
export const readFileSync = (): string => '';
export class URL {}

export const createHmac = (algorithm: HashName, key: Uint8Array) => ({
  update: (octets: Uint8Array) => ({ digest: () => hmac(algorithm, key, octets) }),
});

const hmac = (algorithm: HashName, key: Uint8Array, octets: Uint8Array): Uint8Array =>
  new Uint8Array(crypto.hmac(algorithm, memoryOf(key), memoryOf(octets), 'binary'));

/** PBKDF2 (RFC 8018 §5.2) of one block, which is as much as a digest has. */
export function pbkdf2Sync(
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
  algorithm: HashName,
): Uint8Array {
  let last = hmac(algorithm, password, join(salt, Uint8Array.of(0, 0, 0, 1)));
  const key = last.slice();
  for (let round = 1; round < iterations; round++) {
    last = hmac(algorithm, password, last);
    for (let at = 0; at < key.length; at++) key[at] = (key[at] as number) ^ (last[at] as number);
  }
  return key.slice(0, length);
}

/** The `hash` port of k6 in the place of Node's. */
export const hash = hashWith(deriveByWebCrypto);
