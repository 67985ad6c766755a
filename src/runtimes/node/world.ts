import { forgetToken, getToken } from '../../credentials/oauth.ts';
import type { World } from '../../probe/world.ts';
import { send } from '../../send/index.ts';
import { builtin } from './builtin.ts';
import { hash } from './hashing.ts';
import { NodeLink } from './link.ts';
import { openMemory } from './memory.ts';

/** The ports of the probe on Node. */
export const nodeWorld: World = {
  dial: (terms) => new NodeLink(terms),
  timer(delayMs, ring) {
    const timer = setTimeout(ring, delayMs);
    return () => clearTimeout(timer);
  },
  // Not performance.now(): loading it costs as much as the logon it times.
  now: () => Number(process.hrtime.bigint()) / 1e6,
  date: () => new Date(),
  hash,
  random: (length) => builtin.crypto().randomBytes(length),
  send,
  token: getToken,
  forgetToken,
  memory: openMemory,
};
