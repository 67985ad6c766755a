import type { Recipe } from '../../dialogue/dialogue.ts';
import { builtin } from './builtin.ts';
import { prepared } from './saslprep.ts';

/** The `hash` port on Node's crypto; key derivation runs off the main thread, so that a deadline still rings. */
export async function hash(recipe: Recipe): Promise<Uint8Array> {
  const crypto = builtin.crypto();
  switch (recipe.compute) {
    case 'digest':
      return crypto.createHash(recipe.algorithm).update(recipe.octets).digest();
    case 'hmac':
      return crypto.createHmac(recipe.algorithm, recipe.key).update(recipe.octets).digest();
    case 'random':
      return crypto.randomBytes(recipe.length);
    case 'filetime': {
      const octets = new DataView(new ArrayBuffer(8));
      octets.setBigUint64(0, (BigInt(Date.now()) + MS_FROM_1601_TO_1970) * TICKS_PER_MS, true);
      return new Uint8Array(octets.buffer);
    }
    case 'saslprep':
      return await prepared(recipe.text);
    case 'pbkdf2': {
      const { password, salt, iterations, length, algorithm } = recipe;
      return await new Promise((resolve, reject) => {
        crypto.pbkdf2(password, salt, iterations, length, algorithm, (error, key) =>
          error ? reject(error) : resolve(key),
        );
      });
    }
  }
}

// No literals: a Node too old for them is to read as far as the line that says so.
const MS_FROM_1601_TO_1970 = BigInt('11644473600000');
const TICKS_PER_MS = BigInt(10_000);
