import { printable } from '../probe/printable.ts';

/** What a platform said, after our own words: `, "No objects found."`, or nothing. */
export const quoted = (said: unknown): string =>
  typeof said === 'string' && said !== '' ? `, "${printable(said.replace(/\s+/g, ' ').trim(), LONGEST_WORDS)}"` : '';

const LONGEST_WORDS = 120;
