import type { Recipe } from '../../dialogue/dialogue.ts';
import { builtin } from './builtin.ts';

/** The `hash` port on Node's crypto; key derivation runs off the main thread, so that a deadline still rings. */
export async function hash(recipe: Recipe): Promise<Uint8Array> {
  const crypto = builtin.crypto();
  switch (recipe.compute) {
    case 'digest':
      return crypto.createHash(recipe.algorithm).update(recipe.octets).digest();
    case 'hmac':
      return crypto.createHmac(recipe.algorithm, recipe.key).update(recipe.octets).digest();
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
