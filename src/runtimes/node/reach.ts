import type { Socket } from 'node:net';
import type { Address } from '../../dialogue/dialogue.ts';
import { connectToFirst } from './connect.ts';
import { lookUp } from './dns.ts';

/** Takes note of how to let go of what was begun; what is begun too late is let go of at once. */
export type Hold = (letGo: () => void) => void;

/** What is held, until all of it is let go of. */
export function holding(): { readonly hold: Hold; readonly letGo: () => void } {
  let isOver = false;
  const held: (() => void)[] = [];
  return {
    hold(letGo) {
      if (isOver) letGo();
      else held.push(letGo);
    },
    letGo() {
      isOver = true;
      // The last first: TLS before the socket under it, or Node 20 dies of a segmentation fault.
      for (const each of held.splice(0).reverse()) each();
    },
  };
}

/**
 * A connection to a server by its name, as the POP3 link makes them.
 *
 * @throws ProbeFailure `dns-not-found`, `connection-refused` …
 */
export async function reach(to: string | Address, port: number, family: 0 | 4 | 6, hold: Hold): Promise<Socket> {
  let addresses: readonly Address[];
  if (typeof to === 'string') {
    const lookup = lookUp(to, family);
    hold(lookup.abandon);
    addresses = await lookup.done;
  } else {
    addresses = [to];
  }
  const connecting = connectToFirst(addresses, port);
  hold(connecting.abandon);
  const { socket } = await connecting.done;
  hold(() => socket.destroy());
  return socket;
}
