import crypto from 'k6/crypto';
import type { HashName, Recipe } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import { engine } from './engine.ts';
import { prepared } from './saslprep.ts';

/** Derives a key from a password, off k6's event loop. */
export type Derive = (recipe: Extract<Recipe, { compute: 'pbkdf2' }>) => Promise<Uint8Array>;

/** The `hash` port on k6/crypto. */
export const hashWith =
  (derive: Derive) =>
  async (recipe: Recipe): Promise<Uint8Array> => {
    switch (recipe.compute) {
      case 'digest':
        return new Uint8Array(crypto[recipe.algorithm](memoryOf(recipe.octets), 'binary'));
      case 'hmac':
        return new Uint8Array(crypto.hmac(recipe.algorithm, memoryOf(recipe.key), memoryOf(recipe.octets), 'binary'));
      case 'random':
        return random(recipe.length);
      case 'filetime':
        return filetime(Date.now());
      case 'saslprep':
        return prepared(recipe.text);
      case 'pbkdf2':
        return await derive(recipe);
    }
  };

export const random = (length: number): Uint8Array => engine.crypto.getRandomValues(new Uint8Array(length));

/** By Web Crypto, which k6 computes in Go; that of an older k6 cannot. */
export const deriveByWebCrypto: Derive = async ({ algorithm, password, salt, iterations, length }) => {
  const { subtle } = engine.crypto;
  const terms = { name: 'PBKDF2', hash: WEB_NAMES[algorithm], salt, iterations } as const;
  try {
    const key = await subtle.importKey('raw', password, 'PBKDF2', false, ['deriveBits']);
    return new Uint8Array(await subtle.deriveBits(terms, key, length * 8));
  } catch {
    throw new ProbeFailure(
      'configuration',
      'this k6 cannot derive keys (PBKDF2), as SCRAM does: name another way to log on',
    );
  }
};

const WEB_NAMES: Readonly<Record<HashName, string>> = { md5: 'MD5', sha1: 'SHA-1', sha256: 'SHA-256' };

/** k6/crypto takes whole buffers, and of a part of one it would take all. */
export const memoryOf = (octets: Uint8Array): ArrayBuffer => octets.slice().buffer as ArrayBuffer;

const MS_FROM_1601_TO_1970 = 11_644_473_600_000;
const TICKS_PER_MS = 10_000;

/** Octet by octet: a number of 64 bits is more than JavaScript's numbers hold. */
function filetime(now: number): Uint8Array {
  const octets = new Uint8Array(8);
  let left = now + MS_FROM_1601_TO_1970;
  let carry = 0;
  for (let at = 0; at < octets.length; at++) {
    const ticks = (left % 256) * TICKS_PER_MS + carry;
    octets[at] = ticks % 256;
    carry = Math.floor(ticks / 256);
    left = Math.floor(left / 256);
  }
  return octets;
}
