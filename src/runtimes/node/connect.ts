import type { Socket } from 'node:net';
import type { Address, Connected } from '../../dialogue/dialogue.ts';
import type { ProbeFailure } from '../../dialogue/failure.ts';
import { builtin } from './builtin.ts';
import { failureOf } from './errors.ts';

/** RFC 8305 §5: how long one address may keep quiet before the next is tried beside it. */
const ATTEMPT_DELAY_MS = 250;

export interface Connecting {
  readonly done: Promise<{ readonly socket: Socket; readonly connected: Connected }>;
  /** Ends every attempt under way. */
  readonly abandon: () => void;
}

/**
 * Tries the addresses in their order, each beside those that keep quiet, none given up for being slow: Node's own
 * way ends an attempt after 250 ms and so fails healthy servers far away. The first to answer wins.
 *
 * @returns `done` rejects with a ProbeFailure once every address has failed
 */
export function connectToFirst(addresses: readonly Address[], port: number): Connecting {
  const sockets = new Set<Socket>();
  let timer: NodeJS.Timeout | undefined;
  const abandon = (): void => {
    clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const done = new Promise<{ socket: Socket; connected: Connected }>((resolve, reject) => {
    const dead: { address: string; failure: ProbeFailure }[] = [];
    const waiting = [...addresses];
    const tryNext = (): void => {
      clearTimeout(timer);
      const next = waiting.shift();
      if (next === undefined) return;
      const socket = builtin.net().connect({ host: next.address, port, family: next.family, autoSelectFamily: false });
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.once('connect', () => {
        sockets.delete(socket);
        socket.removeAllListeners();
        abandon();
        resolve({ socket, connected: { address: next.address, dead } });
      });
      socket.once('error', (error) => {
        sockets.delete(socket);
        dead.push({ address: next.address, failure: failureOf(error, `${next.address} port ${port}: `) });
        if (dead.length === addresses.length) reject(allFailed(dead.map(({ failure }) => failure)));
        else tryNext();
      });
      if (waiting.length > 0) timer = setTimeout(tryNext, ATTEMPT_DELAY_MS);
    };
    tryNext();
  });
  return { done, abandon };
}

/** One failure for several: the server's before this machine's, for an address of a kind we lack proves nothing. */
function allFailed(failures: readonly ProbeFailure[]): ProbeFailure {
  const told = failures.find(({ reason }) => reason !== 'local-resources' && reason !== 'unreachable') ?? failures[0];
  const failure = told as ProbeFailure;
  if (failures.length > 1) failure.message += `; none of ${failures.length} addresses answers`;
  return failure;
}
