import { join, leastFirst } from '../dialogue/bytes.ts';

/**
 * MD4 (RFC 1320), for NTLM alone: it has been broken since 1995, and Node's OpenSSL left it out.
 *
 * @returns 16 octets
 */
export function md4(octets: Uint8Array): Uint8Array {
  const blocks = new DataView(padded(octets).buffer);
  let [a, b, c, d] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let block = 0; block < blocks.byteLength; block += 64) {
    const before = [a, b, c, d] as const;
    for (const { mix, constant, order, shifts } of ROUNDS) {
      for (const [step, word] of order.entries()) {
        const sum = (a + mix(b, c, d) + blocks.getUint32(block + word * 4, true) + constant) | 0;
        const shift = shifts[step % 4] as number;
        [a, b, c, d] = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
      }
    }
    [a, b, c, d] = [(a + before[0]) | 0, (b + before[1]) | 0, (c + before[2]) | 0, (d + before[3]) | 0];
  }
  return join(...[a, b, c, d].map(leastFirst));
}

interface Round {
  readonly mix: (x: number, y: number, z: number) => number;
  readonly constant: number;
  /** Which word of the block each step takes. */
  readonly order: readonly number[];
  readonly shifts: readonly number[];
}

/** RFC 1320 §3.4. */
const ROUNDS: readonly Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    constant: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    constant: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    constant: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
];

/** A one bit, zeros, and the length in bits, up to a whole number of blocks of 64 octets (RFC 1320 §3.1-3.2). */
function padded(octets: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil((octets.length + 9) / 64) * 64);
  whole.set(octets);
  whole[octets.length] = 0x80;
  whole.set(leastFirst(octets.length * 8), whole.length - 8);
  return whole;
}
