import type { World } from '../../probe/world.ts';
import { engine } from './engine.ts';
import { hashWith, random } from './hashing.ts';
import type { Call, Transport } from './transport.ts';

/** The ports of the probe inside k6: it sends nothing, gets no tokens and remembers nothing. */
export const worldOver = (transport: Transport, call: Call): World => ({
  dial: (terms) => transport.dial(terms, call),
  timer(delayMs, ring) {
    // One that is not cleared keeps the iteration from ending.
    const timer = engine.setTimeout(ring, delayMs);
    return () => engine.clearTimeout(timer);
  },
  now: transport.now,
  date: () => new Date(),
  hash: hashWith(transport.derive),
  random,
  send: null,
  token: null,
  memory: null,
});
