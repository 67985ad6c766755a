/** What Active Directory counts time in: 100 ns since 1601, in digits (MS-DTYP §2.3.3). */

/** Null for what is no such time. */
export const fileTimeOf = (text: string | null): string | null =>
  text !== null && /^\d{1,19}$/.test(text) ? text : null;

/** Milliseconds since 1970. */
export const msOf = (fileTime: string): number => Number(BigInt(fileTime) / BigInt(TICKS_A_MS)) - EPOCH_MS;

/** `2026-11-25 03:04:05 UTC` */
export const dateOf = (fileTime: string): string =>
  new Date(msOf(fileTime))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');

export const isLater = (one: string, other: string): boolean => BigInt(one) > BigInt(other);

const TICKS_A_MS = 10_000;
const EPOCH_MS = 11_644_473_600_000;
