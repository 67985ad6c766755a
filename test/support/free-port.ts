import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * A port of 127.0.0.1 that nobody listens on. None above 32767: Zabbix takes no other, and from there on the system
 * gives away ports of its own accord.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const listener = createServer();
    listener.listen(10_000 + randomInt(22_000), '127.0.0.1');
    try {
      await once(listener, 'listening');
    } catch {
      continue; // somebody has it
    }
    const { port } = listener.address() as AddressInfo;
    await new Promise((resolve) => listener.close(resolve));
    return port;
  }
}
