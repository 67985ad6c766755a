import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import type { FaultName } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';

/** Many servers, each at an address and with a name of its own. */
export interface Farm {
  /** Where all of them listen, those that listen. */
  readonly port: number;
  readonly servers: readonly FarmServer[];
  readonly password: string;
  readonly caCertificate: string;
  close(): Promise<void>;
}

export interface FarmServer {
  readonly name: string;
  readonly address: string;
  /** What is wrong with it; null where nothing is. */
  readonly fault: FarmFault | null;
}

export type FarmFault = FaultName | 'closed';

/**
 * Starts sandbox servers, one for the healthy and one for each fault, and before them a listener for each name.
 *
 * @param faultOf what is wrong with the server at that place
 */
export async function startFarm(
  count: number,
  password: string,
  faultOf: (at: number) => FarmFault | null,
): Promise<Farm> {
  const servers = Array.from({ length: count }, (_, at): FarmServer => {
    const name = `pop${String(at).padStart(3, '0')}.example.com`;
    return { name, address: `127.7.${Math.floor(at / 250)}.${(at % 250) + 1}`, fault: faultOf(at) };
  });
  const names = ['*.example.com'];
  const kinds = [...new Set(servers.map(({ fault }) => fault))].filter((fault) => fault !== 'closed');
  const sandboxes = new Map<FarmFault | null, Sandbox>();
  for (const fault of kinds)
    sandboxes.set(fault, await startSandbox({ password, names, faults: fault === null ? [] : [fault] }));
  const listeners: Server[] = [];
  let port = 0;
  for (const { address, fault } of servers) {
    if (fault === 'closed') continue;
    const to = (sandboxes.get(fault) as Sandbox).pop3Port;
    const listener = createServer((client) => {
      const server = connect(to, '127.0.0.1');
      client.on('error', () => server.destroy()).on('close', () => server.destroy());
      server.on('error', () => client.destroy()).on('close', () => client.destroy());
      client.pipe(server).pipe(client);
    });
    listener.listen(port, address);
    await once(listener, 'listening');
    port = (listener.address() as AddressInfo).port;
    listeners.push(listener);
  }
  return {
    port,
    servers,
    password,
    // Each sandbox has an authority of its own.
    caCertificate: [...sandboxes.values()].map(({ caCertificate }) => caCertificate).join(''),
    async close() {
      for (const listener of listeners) listener.close();
      await Promise.all([...sandboxes.values()].map((sandbox) => sandbox.close()));
    },
  };
}

/** A file of targets for all of them, each at its address. */
export const targetsFile = ({ servers, port }: Farm, more = ''): string =>
  servers
    .map(
      ({ name, address }) =>
        `- {client-access-server: ${name}, address: ${address}, port-client-access-server: ${port}${more}}\n`,
    )
    .join('');
