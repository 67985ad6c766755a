import type { Program } from './installed.ts';

/** Reads man pages, and finds fault with them. */
export const MANDOC: Program = { name: 'mandoc', commands: ['mandoc'], install: 'apt-get install mandoc' };
