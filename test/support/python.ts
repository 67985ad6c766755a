import type { Program } from './installed.ts';

/** A reader of CSV, and a table of Unicode's, that have nothing to do with us. */
export const PYTHON: Program = { name: 'Python', commands: ['python3'], install: 'apt-get install python3' };
