import type { Program } from './installed.ts';

/** A real browser, driven by playwright-core. */
export const CHROMIUM: Program = {
  name: 'Chromium',
  commands: ['chromium'],
  install: 'apt-get install -y --no-install-recommends chromium',
};
