/**
 * What every k6 since 2.0 has as globals beyond the language. There is nothing else: no performance.now, no
 * TextDecoder before 2.2, no URL, no Buffer.
 */
export const engine = globalThis as unknown as {
  setTimeout(ring: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
  readonly crypto: {
    getRandomValues(into: Uint8Array): Uint8Array;
    readonly subtle: Subtle;
  };
};

/** The part of Web Crypto that derives keys from passwords. */
interface Subtle {
  importKey(
    format: 'raw',
    key: Uint8Array,
    algorithm: 'PBKDF2',
    isExtractable: false,
    usages: readonly ['deriveBits'],
  ): Promise<unknown>;
  deriveBits(
    algorithm: {
      readonly name: 'PBKDF2';
      readonly hash: string;
      readonly salt: Uint8Array;
      readonly iterations: number;
    },
    key: unknown,
    bits: number,
  ): Promise<ArrayBuffer>;
}
